"""Networks that multiply their channels with a part of the input, such as a mask of frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, case, sequences


def _frames(*mask: int) -> tuple[Tensor, Tensor]:
    return torch.randn(4, 7, 6), torch.rand(4, *mask) + 0.1


class Frames(nn.Module):
    """Two layers over frames and a mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.last, self.head = nn.Linear(6, 12), nn.Linear(12, 10), nn.Linear(10, CLASSES)

    def masked(self, x: Tensor, mask: Tensor) -> Tensor:
        """Apply the mask to the channels between the layers."""
        return x * mask[..., None]

    def forward(self, x: Tensor, mask: Tensor) -> Any:
        x = torch.relu(self.last(self.masked(torch.relu(self.hidden(x)), mask)))
        return self.head(x.mean(1))


@case(cut=("hidden", "last"), example=lambda: _frames(7))
class MaskedFrames(Frames):
    """a mask of fractions zeroes frames, then makes a mean of what is left"""

    def forward(self, x: Tensor, mask: Tensor) -> Any:
        x = self.masked(torch.relu(self.hidden(x)), mask)
        x = mask.unsqueeze(-1) * torch.relu(self.last(x))
        return self.head(x.sum(1) / mask.sum(1, keepdim=True))


@case(cut=("hidden", "last"), example=lambda: _frames(7))
class FramesMaskedInPlace(Frames):
    """the same, in place"""

    def masked(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x.clone()
        x *= mask[..., None]
        return x.div_(mask.sum(1)[:, None, None])


@case(whole=("hidden",), cut=("last",), example=lambda: _frames(7))
class ShiftedFrames(Frames):
    """what is added to the channels stays where they are gone"""

    def masked(self, x: Tensor, mask: Tensor) -> Tensor:
        return x + mask[..., None]


@case(whole=("hidden",), cut=("last",), example=lambda: _frames(12))
class GainsOfInput(Frames):
    """the input has a factor for every channel"""

    def masked(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * mask[:, None]


@case(whole=("hidden",), cut=("last",), example=lambda: _frames(7))
class DividedByFrames(Frames):
    """channels divide the mask: where they are gone it does not become zero"""

    def masked(self, x: Tensor, mask: Tensor) -> Tensor:
        return mask[..., None] / (x + 1.0)


class Steps(nn.Module):
    """Two layers over steps, what the heir puts in between, and a mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.last, self.head = nn.Linear(6, 12), nn.Linear(12, 10), nn.Linear(10, CLASSES)
        self.token = nn.Parameter(torch.randn(12))

    def between(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Any:
        return self.head(torch.relu(self.last(self.between(torch.relu(self.hidden(x))))).mean(1))


@case(cut=("hidden", "last"), example=sequences)
class LearnedMask(Steps):
    """in training a parameter is written over steps that numpy draws; evaluation never reads it"""

    def between(self, x: Tensor) -> Tensor:
        if self.training:
            x[torch.from_numpy(np.random.rand(*x.shape[:2]) < 0.3)] = self.token
        return x


@case(cut=("hidden", "last"), example=sequences)
class LearnedFirstStep(Steps):
    """a parameter is written over the first step, in both modes"""

    def between(self, x: Tensor) -> Tensor:
        x[:, 0] = self.token
        return x


class ResponseNormGRN(nn.Module):
    """Every channel's length over the steps, by the mean of the lengths of all channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(width)), nn.Parameter(torch.rand(width))

    def forward(self, x: Tensor) -> Tensor:
        length = x.norm(dim=1, keepdim=True)
        normed: Tensor = self.weight * (x * (length / (length.mean(-1, keepdim=True) + 1e-6))) + self.bias + x
        return normed


@case(cut=("hidden", "last"), example=sequences)
class GlobalResponse(Steps):
    """global response norm (ConvNeXt V2): a mean over channels of their lengths"""

    def __init__(self) -> None:
        super().__init__()
        self.norm = ResponseNormGRN(12)

    def between(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(x) + self.token
        return normed
