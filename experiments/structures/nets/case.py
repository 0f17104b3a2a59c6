"""A small network, the example input it takes, and what a tracer must do with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

CASES: dict[str, Case] = {}
CLASSES = 5
Built = TypeVar("Built", bound=type[nn.Module])


@dataclass(frozen=True)
class Case:
    """A network that a tracer is judged by.

    Attributes:
        name: class name of the network.
        note: what is special about it.
        build: makes the network.
        example: makes the example input: a tensor, a tuple of arguments or a dict of keyword arguments.
        cut: modules whose output channels must belong to a group.
        whole: modules whose output channels must not be pruned, each of them named with a reason.
        either: modules that must be one or the other: cut right, or not pruned and named. Modules with convolutions
            and linear layers need not be listed.
        refusal: words of the ``ValueError`` by which the tracer may refuse the network instead.
    """

    name: str
    note: str
    build: Callable[[], nn.Module]
    example: Callable[[], Any]
    cut: tuple[str, ...]
    whole: tuple[str, ...]
    either: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def expected(self) -> str:
        """``"cut"``, ``"whole"``, ``"cut and whole"`` or ``"either"``."""
        return " and ".join(word for word, names in (("cut", self.cut), ("whole", self.whole)) if names) or "either"


def images() -> Tensor:
    """Four images of 8 x 8 pixels."""
    return torch.randn(4, 3, 8, 8)


def vectors() -> Tensor:
    """Four vectors of six numbers."""
    return torch.randn(4, 6)


def sequences() -> Tensor:
    """Four sequences of seven steps with six numbers each."""
    return torch.randn(4, 7, 6)


def tokens() -> Tensor:
    """Four sentences of seven words out of twenty."""
    return torch.randint(0, 20, (4, 7))


def case(
    *,
    cut: tuple[str, ...] = (),
    whole: tuple[str, ...] = (),
    either: tuple[str, ...] = (),
    refusal: str = "",
    example: Callable[[], Any] = images,
) -> Callable[[Built], Built]:
    """Class decorator that adds a network to ``CASES``; the note is its docstring.

    Raises:
        ValueError: there is a network of that name.
    """

    def register(build: Built) -> Built:
        if build.__name__ in CASES:
            raise ValueError(f"name: expected one that no other network has, got {build.__name__}; rename the class")
        CASES[build.__name__] = Case(build.__name__, str(build.__doc__), build, example, cut, whole, either, refusal)
        return build

    return register


def conv(inputs: int, outputs: int, size: int = 3, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the picture's size."""
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups)


def unit(inputs: int, outputs: int, size: int = 3, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(conv(inputs, outputs, size, groups), nn.BatchNorm2d(outputs), nn.ReLU())


class Headed(nn.Module):
    """Base of the networks that end in a mean over all positions and a linear head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = nn.Linear(width, CLASSES)

    def features(self, x: Tensor) -> Any:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Any:
        return self.head(self.features(x).flatten(2).mean(2))
