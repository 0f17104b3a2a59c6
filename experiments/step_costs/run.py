"""What a training step of a pruned network takes: ``python -m experiments.step_costs.run``."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

from experiments.bench.runs import Result, save, stored, write_table
from experiments.speed.timing import Job, interleaved, medians
from experiments.training.models import resnet20, resnet56, vgg11_bn
from physprune_pl import apply_plan, plan_pruning
from physprune_pl.networks.measure import count_macs
from physprune_pl.reports.report import command_line
from physprune_pl.reports.tables import markdown

FOLDER = Path(__file__).parent
BATCH, SIDE, CLASSES, SECONDS = 128, 32, 10, 20.0
# Networks for CIFAR-10, and the share of the MACs that is left.
NETWORKS = {"resnet20": (resnet20, 0.4), "resnet56": (resnet56, 0.4), "vgg11_bn": (vgg11_bn, 0.25)}
# None: as many channels as the target leaves; 8: multiples of eight.
ROUNDINGS = {"pruned": None, "pruned, round_to=8": 8}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
DENSE = "dense"


@dataclass(frozen=True)
class Setting:
    """How the steps are computed."""

    precision: str
    layout: str

    def step(self, network: nn.Module) -> Job:
        """Return a training step of a copy of the network on one batch of random pictures."""
        form = LAYOUTS[self.layout]
        trained = copy.deepcopy(network).train().to(memory_format=form)
        optimizer = torch.optim.SGD(trained.parameters(), lr=0.01, momentum=0.9)
        pictures = torch.randn(BATCH, 3, SIDE, SIDE).to(memory_format=form)
        labels = torch.randint(CLASSES, (BATCH,))

        def step() -> None:
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.precision == "bf16-mixed"):
                loss = nn.functional.cross_entropy(trained(pictures).float(), labels)
            torch.autograd.backward(loss)
            optimizer.step()

        return step


SETTINGS = [Setting(*values) for values in product(("32-true", "bf16-mixed"), LAYOUTS)]


def networks(name: str) -> dict[str, nn.Module]:
    """Return a dense network and what is left of it when its weakest channels are gone, with each rounding."""
    torch.manual_seed(0)
    build, share = NETWORKS[name]
    dense, example = build((3, SIDE, SIDE), CLASSES), torch.randn(2, 3, SIDE, SIDE)
    pruned = {
        rounding: apply_plan(copy.deepcopy(dense), plan_pruning(dense, example, {"macs": share}, round_to=multiple))
        for rounding, multiple in ROUNDINGS.items()
    }
    return {DENSE: dense, **pruned}


def measured(name: str) -> Iterator[Result]:
    """Yield the median milliseconds of a step of a dense network and of its pruned ones, in every setting."""
    found, example = networks(name), torch.randn(2, 3, SIDE, SIDE)
    macs = {key: count_macs(network, example) for key, network in found.items()}
    for setting in SETTINGS:
        jobs = {key: setting.step(network) for key, network in found.items()}
        times = medians(interleaved(jobs, SECONDS))
        yield {"network": name, "precision": setting.precision, "layout": setting.layout, "ms": times, "macs": macs}


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return a row per network and setting: a step of the pruned networks over one of the dense network."""
    head = ("network", "MACs left", "precision", "layout", "dense, ms a step", *ROUNDINGS)
    return markdown(head, [tuple(_cells(one)) for one in found])


def _cells(one: Mapping[str, Any]) -> Iterator[str]:
    first = next(iter(ROUNDINGS))
    yield from (one["network"], f"{one['macs'][first] / one['macs'][DENSE]:.0%}", one["precision"], one["layout"])
    yield f"{one['ms'][DENSE]:.0f}"
    for rounding in ROUNDINGS:
        yield f"{one['ms'][rounding] / one['ms'][DENSE]:.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the networks, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    path = FOLDER / "results.json"
    for name in options.networks:
        rest = [one for one in stored(path) if one["network"] != name]
        found = sorted([*rest, *measured(name)], key=lambda one: list(NETWORKS).index(one["network"]))
        save(found, command_line(), path)
    write_table(FOLDER / "README.md", table(stored(path)))


if __name__ == "__main__":
    main()
