"""The penalty, sum_k pressure_k * s_k over all channels of all groups, and its gradient in closed form.

An element w of a parameter that lies in slices of channels i, j, ... adds power(w) to the sum of each of them, so

    d penalty / d w = pull(w) * (a_i + a_j + ...),    a_k = pressure_k * rate_k

with the pressures (coefficient, schedule, force law) held fixed. Nothing is recorded by autograd, nothing is read back
from the device, and the cost is linear in the size of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from physprune_pl.channels import ChannelGroup, Slice
from physprune_pl.strengths import Strength, widen


@dataclass
class _Owned:
    """One tensor and, for each of its owned dimensions, the channel that owns each index: [size], N where none."""

    tensor: Tensor
    owners: dict[int, Tensor] = field(default_factory=dict)

    def here(self) -> dict[int, Tensor]:
        """Return the owners, moved to where the tensor is: a model may move after the penalty was built."""
        self.owners = {dim: owner.to(self.tensor.device) for dim, owner in self.owners.items()}
        return self.owners

    def own(self, part: Slice, group: ChannelGroup, offset: int, nobody: int) -> None:
        """Enter one slice, or raise a ValueError that names it."""
        _check(part, group, self.tensor)
        if part.dim not in self.owners:
            self.owners[part.dim] = torch.full((self.tensor.shape[part.dim],), nobody, dtype=torch.long)
        owner, index = self.owners[part.dim], torch.tensor(part.index, dtype=torch.long)
        channel = torch.tensor(part.channel, dtype=torch.long) + offset
        before = owner[index]
        owner[index] = channel
        if ((before != nobody) & (before != channel) | (owner[index] != channel)).any():
            raise ValueError(f"group {group.name!r}: {part.name} dimension {part.dim} has indices owned twice")

    def sums(self, contribution: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, for each owned dimension, its owners and the contributions summed over all other dimensions."""
        free = [dim for dim in range(contribution.ndim) if dim not in self.owners]
        small = contribution.sum(free, keepdim=True) if free else contribution
        for dim, owner in self.here().items():
            others = [other for other in self.owners if other != dim]
            yield owner, (small.sum(others) if others else small).flatten()

    def factor(self, rates: Tensor) -> Tensor:
        """Return the sum of the owners' rates ([N + 1], nobody's last), shaped to broadcast over the tensor."""
        rates = rates.to(self.tensor.device)
        shapes = {dim: [-1 if other == dim else 1 for other in range(self.tensor.ndim)] for dim in self.owners}
        terms = [rates[owner].view(shapes[dim]) for dim, owner in self.here().items()]
        return sum(terms[1:], terms[0])

    def scale(self, scales: Tensor) -> None:
        """Multiply the tensor by the scale [N + 1] of every index's owner, in place."""
        for dim, owner in self.here().items():
            shape = [-1 if place == dim else 1 for place in range(self.tensor.ndim)]
            self.tensor.mul_(scales[owner].to(self.tensor.dtype).view(shape))


class Penalty:
    """Strengths, penalty and gradient of all groups at once, in vectors over all N channels.

    Args:
        groups: G groups; N is the sum of their sizes.
        tensors: parameters by the names that the slices use. Slices of other names, of buffers, and of parameters
            that do not require a gradient at the time of a call are not counted.
        strength: the norm, and which slices count.

    Attributes:
        segments: place of each group in the [N] vectors, in the order of ``groups``.

    Raises:
        ValueError: when a slice does not fit its tensor or its group, or an index has two owners.

    >>> from physprune_pl.strengths import L2
    >>> weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    >>> rows = Slice("weight", dim=0, index=(0, 1), channel=(0, 1), role="filter")
    >>> penalty = Penalty([ChannelGroup("fc", 2, (rows,))], {"weight": weight}, L2())
    >>> penalty.strengths()
    tensor([5., 2.])
    >>> penalty.add_gradient(torch.tensor([1.0, 0.5]))
    >>> weight.grad
    tensor([[0.6000, 0.8000],
            [0.0000, 0.5000]])
    """

    def __init__(self, groups: Sequence[ChannelGroup], tensors: Mapping[str, Tensor], strength: Strength) -> None:
        ends = [0]
        for group in groups:
            ends.append(ends[-1] + group.size)
        self.size = ends[-1]
        self.segments = [slice(start, stop) for start, stop in pairwise(ends)]
        self.strength = strength
        self._counted = self._own(groups, tensors, strength.counts)
        self._filters = self._own(groups, tensors, lambda part: part.role == "filter")

    def _own(
        self, groups: Sequence[ChannelGroup], tensors: Mapping[str, Tensor], counts: Callable[[Slice], bool]
    ) -> list[_Owned]:
        # By identity: a tied parameter is one parameter under several names.
        owned: dict[int, _Owned] = {}
        for group, segment in zip(groups, self.segments, strict=True):
            for part in group.slices:
                tensor = tensors.get(part.name)
                if tensor is not None and counts(part):
                    owned.setdefault(id(tensor), _Owned(tensor)).own(part, group, segment.start, self.size)
        return list(owned.values())

    @torch.no_grad()
    def strengths(self) -> Tensor:
        """Return the strength of every channel, shape [N], detached, float32 or wider.

        Half precision is summed in float32. A channel without counted slices has strength 0.
        """
        return self.strength.finish(self._total(self._trainable(), self.strength.power))

    @torch.no_grad()
    def signs(self) -> Tensor:
        """Return the charge sign of every channel, shape [N]: that of the sum of its own filter weights, +1 for 0.

        Frozen filters have a sign too.
        """
        return torch.where(self._total(self._filters, widen) < 0, -1.0, 1.0)

    @torch.no_grad()
    def value(self, pressure: Tensor) -> Tensor:
        """Return sum_k pressure_k s_k, a detached scalar, for pressures of shape [N].

        Raises:
            ValueError: when ``pressure`` has another shape.
        """
        strengths = self.strengths()
        return (self._checked(pressure).to(strengths) * strengths).sum()

    @torch.no_grad()
    def add_gradient(
        self,
        pressure: Tensor,
        scale: Tensor | float = 1.0,
        only: Collection[int] | None = None,
        *,
        strengths: Tensor | None = None,
    ) -> None:
        """Add scale * d value(pressure) / d parameter to ``.grad`` of every counted parameter.

        A missing ``.grad`` is created with the type, device and memory format of its parameter.

        Args:
            pressure: factor of each channel's strength, shape [N].
            scale: number or scalar tensor, such as the loss scale of a gradient scaler.
            only: ids (``id(parameter)``) of the parameters to touch; None means all.
            strengths: what :meth:`strengths` returned for these same weights, to save its pass; None computes it.

        Raises:
            ValueError: when ``pressure`` or ``strengths`` is not of shape [N].
        """
        strengths = self.strengths() if strengths is None else self._checked(strengths, "strengths")
        rates = self._checked(pressure).to(strengths) * self.strength.rate(strengths) * scale
        rates = torch.cat([rates, rates.new_zeros(1)])
        for part in self._trainable():
            if only is None or id(part.tensor) in only:
                _accumulate(part.tensor, self.strength.pull(part.tensor), part.factor(rates))

    @torch.no_grad()
    def shrink(self, keep: Tensor, only: Collection[int] | None = None) -> None:
        """Scale the counted slices of every channel so that the share ``keep`` of its strength is left.

        This is the step toward zero that an optimizer which rescales gradients (Adam and its kin) would not take. An
        element that two channels share is scaled for both.

        Args:
            keep: share of the strength that stays, in [0, 1], shape [N].
            only: ids (``id(parameter)``) of the parameters to touch; None means all.

        Raises:
            ValueError: when ``keep`` is not of shape [N].
        """
        scale = self._checked(keep, "keep") ** (1.0 / self.strength.degree)
        scale = torch.cat([scale, scale.new_ones(1)])
        for part in self._trainable():
            if only is None or id(part.tensor) in only:
                part.scale(scale)

    def _trainable(self) -> list[_Owned]:
        return [part for part in self._counted if part.tensor.requires_grad]

    def _total(self, owned: Sequence[_Owned], power: Callable[[Tensor], Tensor]) -> Tensor:
        """Sum ``power`` of the tensors over the slices of every channel, [N]; on the device of the first tensor."""
        if not owned:
            return torch.zeros(self.size)
        home = owned[0].tensor.device
        pairs = [pair for part in owned for pair in part.sums(power(part.tensor))]
        owners = torch.cat([owner.to(home) for owner, _ in pairs])
        sums = torch.cat([total.to(home) for _, total in pairs])
        return sums.new_zeros(self.size + 1).index_add_(0, owners, sums)[:-1]

    def _checked(self, vector: Tensor, name: str = "pressure") -> Tensor:
        if vector.shape != (self.size,):
            raise ValueError(f"{name}: expected shape [{self.size}], one per channel, got {list(vector.shape)}")
        return vector


def _accumulate(parameter: Tensor, pull: Tensor, factor: Tensor) -> None:
    """Add pull * factor to the gradient in one pass."""
    if parameter.grad is None:
        parameter.grad = torch.mul(pull, factor, out=torch.empty_like(parameter, requires_grad=False))
    else:
        parameter.grad.addcmul_(pull, factor)


def _check(part: Slice, group: ChannelGroup, tensor: Tensor) -> None:
    where = f"group {group.name!r}: slice of {part.name}"
    if not 0 <= part.dim < tensor.ndim:
        raise ValueError(f"{where}: expected a dimension under {tensor.ndim}, got {part.dim}")
    if len(part.index) != len(part.channel):
        raise ValueError(f"{where}: expected one channel per index, got {len(part.channel)} for {len(part.index)}")
    for name, values, size in ("index", part.index, tensor.shape[part.dim]), ("channel", part.channel, group.size):
        if any(not 0 <= value < size for value in values):
            raise ValueError(f"{where}: expected every {name} from 0 to {size - 1}, got {list(values)}")
