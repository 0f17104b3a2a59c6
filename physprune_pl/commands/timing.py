"""``latency``: how long a network takes, dense and cut side by side."""

from __future__ import annotations

import argparse

import torch

from physprune_pl.commands.command import Command
from physprune_pl.commands.cut_options import add_cut_options, dense_and_cut
from physprune_pl.commands.network_options import add_network_options, example_of
from physprune_pl.latency.race import measure_latency
from physprune_pl.reports.tables import table

EXAMPLES = """\
examples:
  python -m physprune_pl latency --model torchvision.models:resnet18 --input 1,3,224,224
  python -m physprune_pl latency --model torchvision.models:resnet18 --input 1,3,224,224 --target macs=0.5 --round-to 8
  python -m physprune_pl latency --model my_package:build --input 1,3,32,32 --checkpoint last.ckpt --batch-sizes 1 128

With a target, a plan or a checkpoint, "pruned" is that network and "dense" the one that the factory makes.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_network_options(parser)
    add_cut_options(parser)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=(1, 32), metavar="N", help="default: 1 32")
    parser.add_argument("--rounds", type=int, default=11, help="rounds, of which the median counts (default: 11)")
    parser.add_argument("--threads", type=int, help="threads of torch; its own choice by default")


def run(options: argparse.Namespace) -> str:
    """Time the networks and return a table.

    Raises:
        ValueError: the network cannot be made or cut, or a number is below 1.
    """
    if options.threads is not None:
        if options.threads < 1:
            raise ValueError(f"--threads: expected at least 1, got {options.threads}")
        torch.set_num_threads(options.threads)
    dense, cut = dense_and_cut(options)
    models = {"dense": dense} if cut is None else {"dense": dense, "pruned": cut}
    times = measure_latency(models, example_of(options), options.batch_sizes, options.rounds)
    rows = [(batch.replace("_", " "), *_cells(found)) for batch, found in times.items()]
    head = ("", *models, "faster")[: len(rows[0])]
    return table(f"Milliseconds of one call, eval mode, threads: {torch.get_num_threads()}", head, rows)


def _cells(found: dict[str, float]) -> tuple[str, ...]:
    faster = (f"{found['dense'] / found['pruned']:.2f}x",) if "pruned" in found else ()
    return (*(f"{value:.2f}" for value in found.values()), *faster)


LATENCY = Command("latency", "Time a network, dense and cut side by side.", EXAMPLES, add_options, run)
