"""Measure speed-ups and planning, and write all tables: ``python -m experiments.goals.run [--network NAME]``."""

from __future__ import annotations

import argparse

import torch

from experiments.goals.measurements import WAYS, measured
from experiments.goals.stored_figures import keep, write_page

NETWORKS = ("resnet50", "vgg19")


def main() -> None:
    """Measure the networks and ways that are asked for, after each row, so that what is cut short is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", nargs="*", default=NETWORKS, choices=NETWORKS, help="none: only write the table")
    parser.add_argument("--way", nargs="+", default=list(WAYS), choices=list(WAYS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.network:
        for row in measured(name, {way: WAYS[way] for way in chosen.way}):
            keep("run", row)
    write_page()


if __name__ == "__main__":
    main()
