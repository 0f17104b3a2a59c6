"""Measure what is not measured yet, write results.json and README.md: ``python -m experiments.speed.run [--again]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from experiments.bench import hardware
from experiments.speed import alone, peak, steps
from experiments.speed.pressed import NETWORKS, Training
from physprune_pl.report import versions
from physprune_pl.tables import markdown

FOLDER = Path(__file__).parent
CARD = """# What the force costs

**What it does.** (1) Training steps (forward, backward, SGD with momentum) without a force and with each, in turn and
in another order each round; medians of processor time, one thread. *Force*: time between forward and backward.
*Share*: 1 + force / step without. *Added*: median difference of whole steps of one round, which also holds what
autograd pays for adding to a gradient that is there already; it carries the noise of the whole step. *Floor*: four
passes over the parameters that the force touches, at the bandwidth of a copy measured in the same run (a copy is two
passes). The goal is 1.5 floors plus 3 ms. (2) The penalty alone beside an autograd loop over the rows of all
convolutions and Torch-Pruning's `GroupNormPruner.regularize`. (3) The largest memory of a process that trains.

**Command.** `python -m experiments.speed.run` measures what `results.json` does not hold yet and writes this file;
`--again` measures everything.

**Machine.** {machine}

## A step with and without a force

Pictures of 32 x 32 pixels in batches of 128; ResNet-50: 64 x 64 in batches of 32. Milliseconds.

{steps}

## The penalty alone

Milliseconds; the law is the exponential one unless it is named. *Added*: to gradients that are there.

{alone}

## Memory

Largest resident memory of a process in MB. On paper the force adds one gradient at the start of the backward pass,
while all activations are still there, and keeps its memory for the next step.

{peaks}

## Goals

{goals}

## What was tried

One exponential gradient alone took 2.1, 6.2, 56 and 114 ms on these four networks when every parameter had its own
operations (processor time, same machine), 0.5, 1.4, 15 and 20 ms now. What it took: small tensors of one shape stacked,
all vectors in one row; large tensors a megabyte at a time, so that squares are summed while they are in the cache
(pieces of 128 kB cost a third more, of 512 kB about as much as of 1 MB); rows and columns as sums over a matrix in the
order of memory; laws called once for all groups of one size, and those of index distance once for all steps; memory of
gradients handed out again (asking for it anew cost VGG-19 another 23 ms of page faults a step).

What is over the limit: an electrostatic force reads the filters a fifth time for the signs of their sums. Summing both
in one pass would save most of that. Where networks are small, not bytes but some tens of operations are the cost.
Products with vectors of ones instead of sums, and two multiply-adds instead of one factor, were slower.

On paper, 7 B parameters in bfloat16 over 8 GPUs that share them: four passes are 7 GB a GPU, 2 to 3 ms at 3 TB/s; the
sums of some 0.4 M channels are 1.6 MB to reduce over the GPUs, and sorting them for a plan is a fraction of a second.
Strategies that shard parameters are refused today.
"""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="measure everything again")
    again = parser.parse_args().again
    torch.set_num_threads(1)
    place = FOLDER / "results.json"
    results = json.loads(place.read_text()) if place.exists() and not again else {"networks": {}}
    results["machine"] = {**hardware(), "versions": versions()}
    for name, network in NETWORKS.items():
        if name not in results["networks"]:
            training = Training(network)
            results["networks"][name] = {
                "touched": training.touched,
                "alone": alone.measured(training),
                "steps": steps.measured(training),
                "peak": peak.measured(name),
            }
            place.write_text(json.dumps(results, indent=1) + "\n")
            print(f"{name} measured", flush=True)
    (FOLDER / "README.md").write_text(card(results))


def card(results: Mapping[str, Any]) -> str:
    """Return the README."""
    machine, networks = results["machine"], results["networks"]
    versions_used = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return CARD.format(
        machine=f"{machine['processor']}, {machine['threads']} thread; {versions_used}.",
        steps=markdown(
            ("network", "law", "step without", "force", "share", "added", "floor", "1.5 floors + 3"),
            [row for name, found in networks.items() for row in _step_rows(name, found["steps"])],
        ),
        alone=markdown(
            ("network", "parameters", "floor", *(key for key in _first(networks)["alone"] if key != "copy")),
            [_alone_row(name, found) for name, found in networks.items()],
        ),
        peaks=markdown(
            ("network", "without a force", "with", "gradients alone"),
            [_peak_row(name, found) for name, found in networks.items()],
        ),
        goals="\n".join(f"- {line}" for name, found in networks.items() for line in goals(name, found)),
    )


def goals(name: str, found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for every goal, with the figure that was measured."""
    times, alone_times = found["steps"], found["alone"]
    forces = {law: times[law]["force"] for law in times if isinstance(times[law], dict)}
    slowest = max(forces, key=lambda law: forces[law])
    limit, share = _limit(times), 1 + forces[slowest] / times["without"]
    yield f"{name}: slowest law {slowest}, {forces[slowest]:.1f} ms of {limit:.1f}: {_met(forces[slowest] <= limit)}."
    goal = NETWORKS[name].goal
    if goal is not None:
        yield f"{name}: share of the step {share:.4f} of {goal}: {_met(share <= goal)}."
    ours, added = alone_times["ours, exponential"], alone_times["ours, exponential, added"]
    faster = alone_times["torch-pruning"] / added
    yield f"{name}: {faster:.1f} times as fast as Torch-Pruning, of 5: {_met(faster >= 5)}."
    beside = min(alone_times["loop"] / ours, alone_times["loop, added"] / added)
    yield f"{name}: {beside:.1f} times as fast as the loop, of 1: {_met(beside >= 1)}."


def _step_rows(name: str, times: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for law, found in times.items():
        if isinstance(found, dict):
            share = 1 + found["force"] / times["without"]
            figures = [times["without"], found["force"], share, found["added"], 2 * times["copy"], _limit(times)]
            formats = [".0f", ".2f", ".4f", ".1f", ".2f", ".1f"]
            yield (name, law, *(format(value, how) for value, how in zip(figures, formats, strict=True)))


def _alone_row(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    times = dict(found["alone"])
    floor = 2 * times.pop("copy")
    return (name, str(found["touched"]), f"{floor:.2f}", *(f"{value:.2f}" for value in times.values()))


def _peak_row(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    megabytes = [found["peak"]["without"], found["peak"]["with"], 4 * found["touched"] / 2**20]
    return (name, *(f"{value:.0f}" for value in megabytes))


def _limit(times: Mapping[str, Any]) -> float:
    return float(1.5 * 2 * times["copy"] + 3.0)


def _met(yes: bool) -> str:
    return "met" if yes else "missed"


def _first(networks: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(iter(networks.values()))
    return found


if __name__ == "__main__":
    main()
