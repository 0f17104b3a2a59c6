"""Folds what removed channels emit on average into the biases and running means of what reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from physprune_pl import PruningPlan

SILENT = 1e-6
"""A mean of this size or less counts as zero."""


@dataclass(eq=False)
class FoldedReader:
    """A convolution or a linear layer that reads channels which will be removed.

    Attributes:
        module: the layer.
        gone: which of its inputs will be removed.
        norms: batch norms that read nothing but what it puts out.
    """

    module: nn.Conv2d | nn.Linear
    gone: Tensor
    norms: set[_BatchNorm] = field(default_factory=set)
    output: Tensor | None = None
    seen: list[Tensor] = field(default_factory=list)

    def see(self, _module: nn.Module, given: tuple[Tensor], output: Tensor) -> None:
        """Note a batch, as a forward hook."""
        axis = -1 if isinstance(self.module, nn.Linear) else 1
        self.seen.append(given[0].detach().double().movedim(axis, 0).flatten(1)[self.gone])
        self.output = output

    def constants(self, steadiness: float) -> Tensor:
        """Return what each removed input emits on average, 0 for one that is not steady."""
        values = torch.cat(self.seen, 1)
        mean = values.mean(1)
        steady = values.std(1) <= steadiness * mean.abs()
        return mean * (steady & (mean.abs() > SILENT))

    def fold(self, constants: Tensor) -> None:
        """Add what the constants make of the output to the bias, or take it off the running means behind it.

        Padding is not accounted for: at the rim of a picture a constant counts as if it went on.
        """
        taps = self.module.weight.detach().double()[:, self.gone].flatten(2 if self.module.weight.dim() > 2 else 1)
        lost = (taps.sum(2) if taps.dim() > 2 else taps) @ constants
        if self.module.bias is not None:
            self.module.bias.data += lost.to(self.module.bias)
            return
        for norm in self.norms:
            if norm.running_mean is not None:
                norm.running_mean -= lost.to(norm.running_mean)


def fold(model: nn.Module, plan: PruningPlan, batches: Iterable[Tensor], steadiness: float) -> dict[str, int]:
    """Fold the means of removed channels into what reads them, in place and before the cut; no parameter is made.

    A layer with weight W reads ``sum over taps of W[:, k] * mean_k`` of a channel k.

    Args:
        model: the network before the cut.
        plan: what will be cut.
        batches: inputs to measure the means on, in eval mode.
        steadiness: a channel is constant if its standard deviation is at most this share of its mean's size;
            infinity folds the means of all removed channels.

    Returns:
        How many inputs of layers the plan removes, and how many of these emit something that was folded.
    """
    readers = list(_readers(model, plan))
    with torch.no_grad(), _watching(model, readers):
        for batch in batches:
            model.eval()(batch)
    counts = {"removed": 0, "folded": 0}
    for reader in readers:
        constants = reader.constants(steadiness)
        reader.fold(constants)
        counts["removed"] += len(constants)
        counts["folded"] += int((constants != 0).sum())
    return counts


def _readers(model: nn.Module, plan: PruningPlan) -> Iterator[FoldedReader]:
    kept: Mapping[str, tuple[int, ...]] = {name: cut.keep[1] for name, cut in plan.tensors.items() if 1 in cut.keep}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and f"{name}.weight" in kept:
            gone = torch.ones(module.weight.shape[1], dtype=torch.bool)
            gone[list(kept[f"{name}.weight"])] = False
            yield FoldedReader(module, gone.nonzero().flatten())


@contextmanager
def _watching(model: nn.Module, readers: Iterable[FoldedReader]) -> Iterator[None]:
    """Measure what readers read, and note the batch norms that read what they put out."""

    def note(norm: _BatchNorm, given: tuple[Tensor]) -> None:
        for reader in readers:
            if reader.output is given[0]:
                reader.norms.add(norm)

    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    handles = [reader.module.register_forward_hook(reader.see) for reader in readers]
    handles += [norm.register_forward_pre_hook(note) for norm in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
