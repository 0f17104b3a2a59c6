"""The penalty, sum_k pressure_k * s_k over all channels of all groups, and its gradient in closed form.

An element w of a parameter that lies in slices of channels i, j, ... adds power(w) to the sum of each of them, so

    d penalty / d w = pull(w) * (a_i + a_j + ...),    a_k = pressure_k * rate_k

with the pressures (coefficient, schedule, force law) held fixed. Nothing is recorded by autograd, nothing is read back
from the device, and the cost is linear in the size of the parameters: every weight is read once for the norms of all
its dimensions and once for the gradient, and small tensors of one shape are worked on together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from physprune_pl.pressing.arrangement import Arranged
from physprune_pl.pressing.owners import owned_tensors, segments_of
from physprune_pl.strengths import Strength, widen
from physprune_pl.structure import ChannelGroup


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

    >>> from physprune_pl.structure import Slice
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
        self.segments = segments_of(groups)
        self.size = self.segments[-1].stop if self.segments else 0
        self.strength = strength
        counted = owned_tensors(groups, self.segments, tensors, strength.counts)
        self._counted = Arranged(counted, self.size, strength.power, trainable=True)
        filters = owned_tensors(groups, self.segments, tensors, lambda part: part.role == "filter")
        self._filters = Arranged(filters, self.size, widen, trainable=False)

    @torch.no_grad()
    def strengths(self) -> Tensor:
        """Return the strength of every channel, shape [N], detached, float32 or wider.

        Half precision is summed in float32. A channel without counted slices has strength 0.
        """
        return self.strength.finish(self._counted.total())

    @torch.no_grad()
    def signs(self) -> Tensor:
        """Return the charge sign of every channel, shape [N]: that of the sum of its own filter weights, +1 for 0.

        Frozen filters have a sign too.
        """
        return torch.where(self._filters.total() < 0, -1.0, 1.0)

    @torch.no_grad()
    def add_gradient(
        self,
        pressure: Tensor,
        scale: Tensor | float = 1.0,
        only: Collection[int] | None = None,
        *,
        strengths: Tensor | None = None,
    ) -> None:
        """Add scale * d (sum_k pressure_k s_k) / d parameter to ``.grad`` of every counted parameter.

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
        for one in self._counted.now():
            one.add_gradient(rates, self.strength.pull, only)

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
        self._counted.scale(self._checked(keep, "keep") ** (1.0 / self.strength.degree), only)

    def _checked(self, vector: Tensor, name: str = "pressure") -> Tensor:
        if vector.shape != (self.size,):
            raise ValueError(f"{name}: expected shape [{self.size}], one per channel, got {list(vector.shape)}")
        return vector
