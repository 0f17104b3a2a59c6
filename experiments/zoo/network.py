"""What a network of the zoo is: how it is built, and what it is run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

# No layer inside any of the networks has this width, so it tells their classifiers.
CLASSES = 11
BATCH = 4


@dataclass(frozen=True)
class Network:
    """A network to cut.

    Attributes:
        library: distribution that it comes from, or whose layers it is written with.
        size: of one sample, in words.
        build: returns it with random weights.
        example: returns random inputs for it: a tensor, a tuple of arguments, or a dict of keyword arguments.
        note: how it differs from what its library builds without arguments, if it does.
    """

    library: str
    size: str
    build: Callable[[], nn.Module]
    example: Callable[[], Any]
    note: str = ""

    @property
    def source(self) -> str:
        """Library and version."""
        return f"{self.library} {version(self.library)}"

    def make(self) -> tuple[nn.Module, Any]:
        """Return it with random weights, and random inputs for it, the same each time."""
        torch.manual_seed(0)
        return self.build(), self.example()


def on_pictures(library: str, pixels: int, build: Callable[[], nn.Module], note: str = "") -> Network:
    """Return a network that takes square pictures [B, 3, H, W]."""
    return Network(library, f"{pixels} x {pixels} pixels", build, lambda: torch.randn(BATCH, 3, pixels, pixels), note)
