"""Whether cut networks of transformers are saved and loaded: ``python -m experiments.zoo.round_trip``.

Each is cut twice, to the smallest share of the MACs that is within reach: freely, and with one width in all layers
(``same_width="auto"``), where what no number in a config can say is not pruned. ``save_pretrained`` writes it, and what
``from_pretrained`` alone and ``load_pruned`` make of the folder must put out the same, bit for bit. Only after the free
cut may ``from_pretrained`` refuse the folder. A finished row is stored at once in ``round_trip.json``.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from experiments.bench.runs import save
from experiments.structures.oracle import forward, leaves
from experiments.zoo.limited_process import ProcessLimits, Row, run_apart
from experiments.zoo.networks import NETWORKS, make
from experiments.zoo.ours import Make
from experiments.zoo.run import SHARED, stored, wanted
from physprune_pl.planning import plan_chosen
from physprune_pl.structure import Trace
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.loading import load_pruned
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.same_width import AUTO, tied
from physprune_pl.targets.target import Target, TargetError
from physprune_pl.targets.widths import Widths
from physprune_pl.tracing.tracer import trace

PATH = Path(__file__).parent / "round_trip.json"
COMMAND = "python -m experiments.zoo.round_trip"
TOOL = "round trip"
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
WAYS = {"freely": Widths(), "same width": Widths(same_width=AUTO)}


def saved_and_loaded(name: str, build: Make = make) -> Iterator[Row]:
    """Yield what comes of a cut network of transformers that is saved and loaded again, for both ways to cut it.

    Args:
        name: of a network.
        build: returns that network and its example.
    """
    model, example = build(name)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)  # so that every layer matters to what comes out
    traced = trace(model.eval(), example)
    for way, widths in WAYS.items():
        yield {way: _round_trip(deepcopy(model), example, traced, widths)}


def _round_trip(model: Any, example: Any, traced: Trace, widths: Widths) -> Row:
    dense = deepcopy(model)
    plan = _planned(model, tied(model, traced, widths), widths)
    if plan is None:
        return {"out of reach": SHARES, "problems": []}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the config of .* has no numbers")
        apply_plan(model, plan)
    expected = _outputs(model, example)
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        alone = _by_itself(model, folder)
        loaded = load_pruned(dense, folder)
    problems = [] if _same(_outputs(loaded, example), expected) else ["load_pruned makes another network"]
    if alone is not None and not _same(_outputs(alone, example), expected):
        problems.append("from_pretrained makes another network")
    if alone is None and widths.same_width:
        problems.append("from_pretrained refuses it")
    return {"macs": plan.macs, "from_pretrained": alone is not None, "problems": problems}


def _planned(model: nn.Module, traced: Trace, widths: Widths) -> PruningPlan | None:
    """Return a plan for the smallest share of the MACs that can be met: one width in all layers makes large steps."""
    for share in SHARES:
        try:
            return plan_chosen(model, Chooser(traced, Target("macs", share), widths))
        except TargetError:
            continue
    return None


def _by_itself(model: Any, folder: str) -> nn.Module | None:
    """Return what the library alone loads, None where it refuses; how attention is computed is no part of a folder."""
    try:
        loaded: nn.Module = type(model).from_pretrained(folder, attn_implementation=model.config._attn_implementation)
    except RuntimeError:
        return None
    return loaded


def _outputs(model: nn.Module, example: Any) -> list[Tensor]:
    with torch.no_grad():
        return [leaf for leaf in leaves(forward(model.eval(), example)) if isinstance(leaf, Tensor)]


def _same(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return len(one) == len(other) > 0 and all(map(torch.equal, one, other))


def main() -> None:
    """Look at the networks of transformers that have no row yet, or at those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="run these, even if they have a row")
    names = [name for name in NETWORKS if name.startswith("transformers:")]
    for name in wanted(stored(PATH), TOOL, parser.parse_args().only, names):
        row = {"network": name, "tool": TOOL, **run_apart(partial(saved_and_loaded, name), ProcessLimits(), SHARED)}
        save([*(one for one in stored(PATH) if one["network"] != name), row], COMMAND, PATH)
        print(name, row.get("failure") or {way: row[way] for way in WAYS}, flush=True)


if __name__ == "__main__":
    main()
