"""Judge every network and write results.json and README.md: ``python -m experiments.structures.run [--fast]``."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import torch
import torchvision

from experiments.structures.nets import CASES
from experiments.structures.networks import NETWORKS
from experiments.structures.verdict import Verdict, judge, judge_network

FOLDER = Path(__file__).parent
CARD = """# Which structures are cut right

**What it does.** Every network here is traced, random channels of its groups are removed, and the cut copy is compared
with the dense network in which the same channels are zero. Parameters, running statistics and inputs are random, so a
wrong cut cannot hide behind a small scale; both modes are compared, train (without dropout) and eval. The judge is
`oracle.py`, which knows nothing of the tracer; behind norms over channels it takes its statistics from the channels
that stay. Each network must be pruned correctly, or the module that is not pruned must be named.

**Command.** `python -m experiments.structures.run` writes this file and `results.json`; `--fast` leaves out the
full-size networks.

**Reading the tables.** *Expected*: `cut`, the modules in `nets/` that must belong to a group do; `whole`, those that no
tracer could cut are named; `either`, both answers are right. *Groups*: number of groups, and of channels in them.
*Exact*: groups whose channels leave the output as it is when only what produces them is zero. *Error*: largest
difference relative to the largest output, over all cuts and both modes (limits: 1e-4 in float32, 1e-10 in float64;
adding the zeros of the masked network often changes no bit). *Seconds*: one trace by the clock, its own check included;
what else ran on the machine made it longer.

{summary}

## Full-size networks

A random half of the channels of all groups, and a cut to half of the MACs by `plan_pruning`; pictures of
16 x 16 (ResNet-20 and 56, U-Net) or 32 x 32 pixels.

{networks}

## Small networks, one for every structure and trap

Three random shares of all groups (float32 for the first), and one half and the other of every group alone.

{cases}
"""


def main() -> None:
    """Judge, write, and exit with an error if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="leave out the full-size networks")
    fast = parser.parse_args().fast
    torch.set_num_threads(1)
    cases = [judge(case) for case in CASES.values()]
    networks = [] if fast else [judge_network(name) for name in NETWORKS]
    _write(cases, networks)
    problems = [f"{verdict.name}: {problem}" for verdict in (*networks, *cases) for problem in verdict.problems]
    if problems:
        raise SystemExit("\n".join(problems))


def _write(cases: list[Verdict], networks: list[Verdict]) -> None:
    versions = {"python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__}
    expected = {name: {"expected": case.expected, "note": case.note} for name, case in CASES.items()}
    results = {
        "command": "python -m experiments.structures.run",
        "versions": versions,
        "networks": [asdict(verdict) for verdict in networks],
        "cases": [{**expected[verdict.name], **asdict(verdict)} for verdict in cases],
    }
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    card = CARD.format(summary=_summary(cases, networks), networks=_networks(networks), cases=_cases(cases))
    (FOLDER / "README.md").write_text(card)


def _summary(cases: list[Verdict], networks: list[Verdict]) -> str:
    everything = [*cases, *networks]
    wrong = [verdict.name for verdict in everything if verdict.problems]
    cut = sum(bool(verdict.groups[0]) for verdict in everything)
    worst = {dtype: max(v.error.get(dtype, 0.0) for v in everything) for dtype in ("float32", "float64")}
    found = f"{len(wrong)} not as expected{': ' if wrong else ''}{', '.join(wrong)}"
    return (
        f"**Result.** {len(everything)} networks: {cut} cut, {len(everything) - cut} not pruned at all, {found}. "
        f"Largest error {worst['float32']:.0e} in float32, {worst['float64']:.0e} in float64; "
        f"{sum(verdict.seconds for verdict in everything):.0f} s of tracing by the clock."
    )


def _networks(verdicts: Iterable[Verdict]) -> str:
    rows = (
        f"| {v.name} | {v.groups[0]} ({v.groups[1]} channels) | {v.groups[2]} | {len(v.left_whole)} | {_errors(v)} "
        f"| {v.macs:.3f} | {v.seconds:.1f} |"
        for v in verdicts
    )
    head = "| network | groups | exact | modules whole | error float32, float64 | MACs kept | seconds |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def _cases(verdicts: Iterable[Verdict]) -> str:
    rows = (
        f"| {v.name} | {CASES[v.name].note} | {CASES[v.name].expected} | {v.groups[0]} ({v.groups[1]}) "
        f"| {v.groups[2]} | {', '.join(v.left_whole)} | {_errors(v)} | {v.seconds:.2f} |"
        for v in verdicts
    )
    head = "| network | what is in it | expected | groups | exact | not pruned | error float32, float64 | seconds |"
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows])


def _errors(verdict: Verdict) -> str:
    return ", ".join(f"{error:.0e}" for error in verdict.error.values()) or "nothing cut"


if __name__ == "__main__":
    main()
