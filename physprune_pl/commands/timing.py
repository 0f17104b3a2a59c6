"""``latency``: how long a network takes, dense and cut side by side."""

from __future__ import annotations

import torch
from jsonargparse import ArgumentParser, Namespace

from physprune_pl.commands.cut_options import add_cut_options, dense_and_cut
from physprune_pl.commands.network_options import add_network_options, example_of
from physprune_pl.commands.parsers import command_parser
from physprune_pl.latency.race import measure_latency
from physprune_pl.reports.tables import table

SUMMARY = "Time a network, dense and cut side by side."
EXAMPLES = """\
examples:
  python -m physprune_pl latency --model torchvision.models:resnet18 --input 1,3,224,224
  python -m physprune_pl latency --model torchvision.models:resnet18 --input 1,3,224,224 --target macs=0.5 --round-to 8
  python -m physprune_pl latency --model my_package:build --input 1,3,32,32 --checkpoint last.ckpt --batch-sizes 1 128

With a target, a plan or a checkpoint, "pruned" is that network and "dense" the one that the factory makes.
"""


def parser() -> ArgumentParser:
    """Return the parser of the command."""
    own = command_parser(SUMMARY, EXAMPLES)
    add_network_options(own)
    add_cut_options(own)
    own.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 32], metavar="N", help="default: 1 32")
    own.add_argument("--rounds", type=int, default=11, help="rounds, of which the median counts (default: 11)")
    own.add_argument("--threads", type=int, help="threads of torch; its own choice by default")
    return own


def run(options: Namespace) -> str:
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
