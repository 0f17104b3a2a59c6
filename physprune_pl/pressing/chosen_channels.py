"""What steering has decided: which channels are pressed, and how the pressure of a group is shared among them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from physprune_pl.pressing.segments import Segments

EVEN = 0.5
"""Share of the pressure that is spread evenly over the chosen channels; the law shapes the rest."""


@dataclass(frozen=True)
class ChosenChannels:
    """What holds from one decision to the next, on the device of the strengths, so that no step has to send it there.

    Attributes:
        chosen: which channels were chosen, bool [N].
        late: which channels were chosen and not at zero, bool [N].
        counts: how many of each group, at least 1, [G].
        share: how many channels of the group were chosen for each late one, [N].
        arrived: 1 for those that were chosen and at zero, else 0, [N].
        distance: strength that each channel's group is to lose in one phase, [N].
        rest: strength at which a channel is pressed no further, [N].
    """

    chosen: Tensor
    late: Tensor
    counts: Tensor
    share: Tensor
    arrived: Tensor
    distance: Tensor
    rest: Tensor

    @classmethod
    def of(
        cls, chosen: Tensor, late: Tensor, distance: Tensor, rest: Tensor, per_group: Segments, like: Tensor
    ) -> ChosenChannels:
        """Prepare a decision made on the CPU, given distance and rest of every group [G]."""
        counts = per_group.sums(late.to(like)).clamp(min=1.0)
        share = per_group.spread(per_group.sums(chosen.to(like)) / counts)
        arrived = (chosen & ~late).to(like)
        by_channel = (per_group.spread(one.to(like)) for one in (distance, rest))
        return cls(chosen.to(like.device), late.to(like.device), counts, share, arrived, *by_channel)

    def fits(self, strengths: Tensor) -> bool:
        """Whether it was prepared for the type and device of these strengths."""
        return (self.distance.dtype, self.distance.device) == (strengths.dtype, strengths.device)

    def shape(self, law: Tensor, per_group: Segments) -> Tensor:
        """Return the factor of every channel: mean 1 over the chosen ones of a group while none is at zero, [N]."""
        push = torch.where(self.late, law.clamp(min=0.0), 0.0)
        mean = per_group.spread(per_group.sums(push) / self.counts)
        shaped = torch.where(mean > 0, push / mean.clamp(min=1e-30), 1.0)
        return torch.where(self.late, self.share * (EVEN + (1.0 - EVEN) * shaped), self.arrived)
