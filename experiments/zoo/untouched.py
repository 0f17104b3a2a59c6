"""Whether tracing, a plan and a refused plan leave networks as they were: ``python -m experiments.zoo.untouched``.

All that hangs on a network is compared: parameters, buffers, hooks, attributes and what they hold, modes, gradients,
its output, its input, and the global random generators. A finished row is stored at once in ``untouched.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from experiments.bench.runs import save
from experiments.structures.snapshot import Snapshot
from experiments.zoo.limited_process import ProcessLimits, Row, run_apart
from experiments.zoo.networks import NETWORKS, make
from experiments.zoo.ours import KEPT_MACS, Make
from experiments.zoo.run import SHARED, stored, wanted
from physprune_pl.planning import plan_chosen
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target, TargetError
from physprune_pl.tracing.tracer import trace

PATH = Path(__file__).parent / "untouched.json"
COMMAND = "python -m experiments.zoo.untouched"
TOOL = "snapshot"
OUT_OF_REACH = 1e-9


def left_alone(name: str, build: Make = make) -> Iterator[Row]:
    """Yield what tracing, a plan and a refused plan change about a network: nothing, as they should.

    Args:
        name: of a network.
        build: returns that network and its example.
    """
    model, example = build(name)
    before = Snapshot(model, example)
    traced = trace(model, example)
    for share in (KEPT_MACS, OUT_OF_REACH):
        try:
            plan_chosen(model, Chooser(traced, Target("macs", share)))
        except TargetError as error:
            yield {"refused": f"{error}".partition(" (")[0]}
    yield {"problems": before.changes(model, example)}


def rows_of(names: Sequence[str], limits: ProcessLimits) -> Iterator[Row]:
    """Yield a row for every named network, each from a process of its own."""
    for name in names:
        yield {"network": name, "tool": TOOL, **run_apart(partial(left_alone, name), limits, SHARED)}


def main() -> None:
    """Look at the networks that have no row yet, or at those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="run these, even if they have a row")
    names = list(NETWORKS)
    for row in rows_of(wanted(stored(PATH), TOOL, parser.parse_args().only, names), ProcessLimits()):
        save([*(one for one in stored(PATH) if one["network"] != row["network"]), row], COMMAND, PATH)
        print(f"{row['network']}: {row.get('failure') or row['problems'] or 'untouched'}", flush=True)


if __name__ == "__main__":
    main()
