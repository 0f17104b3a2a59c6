"""Measure what is not measured yet, write results.json and README.md: ``python -m experiments.speed.run [--again]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from experiments.speed import alone, compiled, peak, steps
from experiments.speed.pressed import NETWORKS, Training
from experiments.training.sweeps.figures import hardware
from physprune_pl.reports.report import versions
from physprune_pl.reports.tables import markdown

FOLDER = Path(__file__).parent
CARD = """# What the force costs

**What it does.** (1) Training steps (forward, backward, SGD with momentum) without a force and with each, in turn and
in another order each round; medians of processor time, one thread. *Force*: time between forward and backward.
*Adding*: adding to all gradients in place, the most that autograd pays because one is there already. *Share*: 1 +
(force + adding) / step without. *Difference*: median difference of whole steps of one round; it carries the noise of
the whole step, which is larger than what it should show, so nothing is judged by it. *Floor*: four passes over the
parameters that the force touches, at the bandwidth of a copy measured in the same run (a copy is two passes). The goal
for force + adding is 1.5 floors plus 3 ms. (2) The penalty alone beside an autograd loop over the rows of all
convolutions and linear layers and Torch-Pruning's `GroupNormPruner.regularize`. (3) The largest memory of a process
that trains.

**Command.** `python -m experiments.speed.run` measures what `results.json` does not hold yet and writes this file;
`--again` measures everything.

**Machine.** {machine} It was busy with other
work: medians of time on the clock differed up to fourfold between laws that do the same work, so processor time
is told.

## A step with and without a force

Pictures of 32 x 32 pixels in batches of 128; of 64 x 64 for ResNet-50 in batches of 32, ViT-B/16 of 16 and ViT-L/16,
with 303 million parameters, of 4. Milliseconds.

{steps}

## The penalty alone

Milliseconds; the law is the exponential one unless it is named. *Added*: to gradients that are there.

{alone}

## Memory

Largest resident memory of a process during {count} steps after tracing, in MB, one process each. On paper the force
adds one gradient at the start of the backward pass, while all activations are still there, and keeps its memory for the
next step. **This measurement decides nothing**: what the allocator keeps moves the figure by more than the gradients.
Three more processes each of ResNet-50 gave 1455, 1877, 1455 without a force and 1444, 1885, 1893 with one; two of
VGG-19 1722, 1624 and 1564, 1561.

{peaks}

## Goals

{goals}

## What was tried

With operations of its own for every parameter the penalty took several times as long. What it took to shorten that:
small tensors of one shape stacked, all vectors in one row; large tensors a megabyte at a time, so that squares are
summed while they are in the cache (pieces of 128 kB were clearly slower, pieces of 512 kB alike); rows and columns as
sums over a matrix in the order of memory; laws called once for all groups of one size, and laws of index distance once
for all steps; memory of gradients handed out again, since asking for it anew costs page faults at every step. Products
with vectors of ones instead of sums, and two products added instead of one factor, were no faster.

Where a time is over the limit: force alone makes four passes and works on squares and factors in the cache besides;
autograd's adding is up to three passes more, so that 1.5 floors leave no room for both. A hook that adds the penalty
after the gradient instead would save the adding; it was not tried, since gradient accumulation, loss scaling and
processes that share gradients all rest on the order there is. An electrostatic force reads the filters once more for
the signs of their sums; summing both in one pass was not tried. Where networks are small, not bytes but some tens of
operations are the cost. No GPU was at hand.

torch.compile, on one weight of 512 x 4608 in turns with the penalty, which also prepares its factors:
{compiled}. That is a part of a part of a step,
for seconds of compiling and a compiler that a user must have, so it was left out.

On paper, 7 B parameters in bfloat16 over 8 GPUs that share them: four passes are 7 GB a GPU, 2 to 3 ms at 3 TB/s, and
the sums of some 0.4 M channels are 1.6 MB to reduce over the GPUs. Planning at that size was not measured, and
strategies that shard parameters are refused today.
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
    if "compiled" not in results:
        results["compiled"] = compiled.measured()
        place.write_text(json.dumps(results, indent=1) + "\n")
    (FOLDER / "README.md").write_text(card(results))


def card(results: Mapping[str, Any]) -> str:
    """Return the README."""
    machine, networks = results["machine"], results["networks"]
    versions_used = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return CARD.format(
        machine=f"{machine['processor']}, {machine['threads']} thread; {versions_used}.",
        steps=markdown(
            ("network", "law", "step without", "force", "adding", "share", "difference", "floor", "1.5 floors + 3"),
            [row for name, found in networks.items() for row in _step_rows(name, found["steps"])],
        ),
        alone=markdown(
            ("network", "parameters", "floor", *(key for key in _first(networks)["alone"] if key != "copy")),
            [_alone_row(name, found) for name, found in networks.items()],
        ),
        count=peak.STEPS,
        peaks=markdown(
            ("network", "without a force", "with", "gradients alone"),
            [_peak_row(name, found) for name, found in networks.items()],
        ),
        compiled=_compiled(results["compiled"]),
        goals="\n".join(f"- {line}" for name, found in networks.items() for line in goals(name, found)),
    )


def goals(name: str, found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for every goal, with the figure that was measured."""
    times, alone_times = found["steps"], found["alone"]
    cost = {law: one["force"] + times["adding"] for law, one in times.items() if isinstance(one, dict)}
    limit = _limit(times)
    over = [f"{law} {value:.1f}" for law, value in cost.items() if value > limit]
    slowest = max(cost.values())
    yield f"{name}: force + adding of every law within {limit:.1f} ms: {_met(not over)}{_named(over, slowest)}."
    goal, share = NETWORKS[name].goal, 1 + slowest / times["without"]
    if goal is not None:
        yield f"{name}: share of the step {share:.4f} of {goal} for the slowest law: {_met(share <= goal)}."
    ours, added = alone_times["ours, exponential"], alone_times["ours, exponential, added"]
    faster = alone_times["torch-pruning"] / added
    yield f"{name}: {faster:.1f} times as fast as Torch-Pruning, of 5: {_met(faster >= 5)}."
    beside = min(alone_times["loop"] / ours, alone_times["loop, added"] / added)
    yield f"{name}: {beside:.2f} times as fast as the loop, of 1: {_met(beside >= 1)}."


def _compiled(times: Mapping[str, float]) -> str:
    pairs = [f"{name} {times[name]:.2f} ms, compiled {times[f'{name}, compiled']:.2f}" for name in ("sums", "gradient")]
    return "; ".join(pairs)


def _step_rows(name: str, times: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for law, found in times.items():
        if isinstance(found, dict):
            cost = found["force"] + times["adding"]
            figures = [times["without"], found["force"], times["adding"], 1 + cost / times["without"]]
            figures += [found["added"], 2 * times["copy"], _limit(times)]
            formats = [".0f", ".2f", ".2f", ".4f", ".1f", ".2f", ".1f"]
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


def _named(over: Sequence[str], slowest: float) -> str:
    return f" by {', '.join(over)}" if over else f", the slowest takes {slowest:.1f}"


def _met(yes: bool) -> str:
    return "met" if yes else "missed"


def _first(networks: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(iter(networks.values()))
    return found


if __name__ == "__main__":
    main()
