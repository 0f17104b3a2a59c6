"""Single watched runs of a model, and how the index of a channel is written in bits and read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from physprune_pl.isolation import Example, SavedState, seed_everything_inside
from physprune_pl.observations import Family, Observation
from physprune_pl.probing import ForeignOperations, Probe
from physprune_pl.tainting import ModulePath, has_nan, named_tensors, taint, tensors_in

_SEED = 20


@dataclass(frozen=True)
class Run:
    """One watched run: the probe's records and whether NaN reached what the model returns."""

    probe: Probe
    returned: bool

    @property
    def seen(self) -> list[Observation]:
        """Observations in call order."""
        return self.probe.observations


class Runner:
    """Runs a model under a probe, always with the same random numbers and the same buffers."""

    def __init__(self, model: nn.Module, example: Example, path: ModulePath, saved: SavedState) -> None:
        self.model, self.example, self.path, self.saved = model, example, path, saved
        self.tensors = named_tensors(model)
        self.names = {id(tensor): name for name, tensor in self.tensors.items()}

    def run(self, taints: Mapping[Family, Tensor] | None = None, example: Example | None = None) -> Run:
        """Run once with the given sources tainted."""
        seed_everything_inside(_SEED)
        probe = Probe(self.names, self.path, taints or {}, "train" if self.model.training else "eval")
        with probe, ForeignOperations(probe):
            output = (example or self.example).copy().run(self.model)
        returned = any(has_nan(tensor) for tensor in tensors_in(output))
        self.saved.restore()
        return Run(probe, returned)

    def run_tainted_tensor(self, family: Family, mask: Tensor) -> Run:
        """Run once with NaN inside a parameter or buffer itself."""
        tensor = self.tensors[family[0]]
        values = tensor.data
        tensor.data = taint(values, family[1], mask)
        try:
            return self.run()
        finally:
            tensor.data = values

    def run_tainted_input(self) -> Run:
        """Run once with every floating-point input NaN."""
        nan = self.example.map(lambda x: torch.full_like(x, float("nan")) if x.is_floating_point() else x)
        return self.run(example=nan)


def bits_of(size: int) -> list[Tensor]:
    """Return for every bit of an index two masks of [size]: where it is 1 and where it is 0.

    >>> [mask.int().tolist() for mask in bits_of(3)]
    [[0, 1, 0], [1, 0, 1], [0, 0, 1], [1, 1, 0]]
    """
    index = torch.arange(size)
    width = max(1, (size - 1).bit_length())
    return [((index >> bit) & 1) == value for bit in range(width) for value in (1, 0)]


def decode(patterns: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the index that reached every slot and whether it is certain, from the patterns of :func:`bits_of`."""
    ones, zeros = torch.stack(list(patterns[0::2])), torch.stack(list(patterns[1::2]))
    weights = 2 ** torch.arange(len(ones))
    return (ones.long() * weights[:, None]).sum(0), (ones ^ zeros).all(0)
