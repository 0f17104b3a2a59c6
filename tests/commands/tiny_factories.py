"""Factories for the command line."""

from torch import Tensor, nn


def chain(width: int = 16, **options) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, width, **options), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), head(width))


def head(width: int) -> nn.Linear:
    return nn.Linear(width, 3)


class Named(nn.Module):
    """Words and a mask by name."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.inner, self.out = nn.Embedding(5, 6), nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.out(self.inner(self.words(ids)).relu() * mask.unsqueeze(-1)).mean(1)


def broken() -> nn.Module:
    raise RuntimeError("no such file\nof weights")


class Refuses(nn.Linear):
    """Does not run."""

    def forward(self, inputs: Tensor) -> Tensor:
        raise KeyError("inside")


def nothing() -> str:
    return "no network"


INSTANCE = chain()
