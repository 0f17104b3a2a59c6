"""Networks that are choosy about their input, its batch size and its values, or that hide what a check could see."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, Headed, case, conv, images, sequences, tokens, unit
from experiments.structures.nets.parameters import Between


@case(cut=("conv1", "conv2"), example=lambda: torch.rand(4, 3, 8, 8))
class LogInput(Between):
    """takes the logarithm of its input: only positive numbers are valid"""

    def features(self, x: Tensor) -> Any:
        return super().features(x.log())


@case(cut=("hidden",), example=lambda: torch.cat([torch.randint(0, 7, (4, 1)).float(), torch.randn(4, 5)], 1))
class FloatCategories(nn.Module):
    """table of numbers whose first column holds categories"""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.hidden, self.head = nn.Embedding(7, 4), nn.Linear(9, 12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = torch.cat([self.table(x[:, 0].long()), x[:, 1:]], 1)
        return self.head(torch.relu(self.hidden(x)))


@case(cut=("conv1", "hidden"))
class NormAfterPool(nn.Module):
    """batch norm of vectors: training mode refuses a single sample"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.hidden = conv(3, 8), nn.Linear(8, 12)
        self.norm, self.head = nn.BatchNorm1d(12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = torch.relu(self.conv1(x)).mean((2, 3))
        return self.head(torch.relu(self.norm(self.hidden(x))))


@case(cut=("conv1",))
class Squeezed(Between):
    """squeeze() without a dimension: a single sample loses its batch dimension too"""

    def forward(self, x: Tensor) -> Any:
        return self.head(F.adaptive_avg_pool2d(self.features(x), 1).squeeze())


@case(whole=("conv1",), cut=("conv2",))
class BatchDependent(Between):
    """mixes channels for large batches only"""

    def between(self, x: Tensor) -> Any:
        return x.roll(1, 1) if x.shape[0] > 3 else x


@case(example=lambda: sequences().transpose(0, 1))
class SequenceFirst(nn.Module):
    """loop over the first dimension, the batch is the second"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.across, self.head = nn.Linear(6, 12), nn.Linear(12, 12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Any:
        state = torch.tanh(self.inward(x[0]))
        for step in x[1:]:
            state = torch.tanh(self.inward(step) + self.across(state))
        return self.head(state)


@case(cut=("left", "last"), example=lambda: ({"images": [images(), images()], "name": "a pair"}, True, None))
class NestedInput(nn.Module):
    """a dictionary with a list, a flag and None as arguments"""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.last, self.head = conv(3, 8), conv(8, 10), nn.Linear(10, CLASSES)

    def forward(self, batch: dict[str, Any], flag: bool, nothing: None) -> Any:
        one, two = batch["images"]
        x = self.left(one) + self.left(two) if flag and nothing is None else self.left(one)
        return self.head(torch.relu(self.last(torch.relu(x))).mean((2, 3)))


@case(cut=("hidden",), example=lambda: (tokens(), torch.ones(4, 7, dtype=torch.bool).tril()))
class PaddedTokens(nn.Module):
    """mean over the words that a mask marks as real"""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.hidden, self.head = nn.Embedding(20, 12), nn.Linear(12, 16), nn.Linear(16, CLASSES)

    def forward(self, words: Tensor, real: Tensor) -> Any:
        x = torch.relu(self.hidden(self.table(words))).masked_fill(~real[..., None], 0.0)
        return self.head(x.sum(1) / real.sum(1, keepdim=True))


@case(whole=("conv1",), cut=("conv2",))
class CoarseOutput(Between):
    """returns the number of the class, which often survives a wrong cut"""

    def between(self, x: Tensor) -> Any:
        return x.roll(1, 1)

    def forward(self, x: Tensor) -> Any:
        return super().forward(x).argmax(1)


@case(whole=("conv1",), cut=("conv2",))
class HighThreshold(Between):
    """a wrong cut behind a threshold that weights of ordinary size never reach"""

    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            self.conv1.weight.mul_(200.0)

    def between(self, x: Tensor) -> Any:
        return torch.relu(x.roll(1, 1) - 50.0)


@case(whole=("conv1",), cut=("conv2",))
class RolledBuffer(Between):
    """a running scale that starts at one everywhere is applied one channel off"""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(12))

    def between(self, x: Tensor) -> Any:
        return x * self.scale.roll(1)[:, None, None]


@case(cut=("conv1", "conv2"))
class StatelessNorm(Between):
    """batch norm without running statistics: evaluation uses the statistics of the batch"""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.BatchNorm2d(12, track_running_stats=False)


class OwnLayerNorm(nn.Module):
    """Layer norm as many repositories write it: not torch's class, but its attributes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.normalized_shape = (width,)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.movedim(1, -1), self.normalized_shape, self.weight, self.bias).movedim(-1, 1)


@case(cut=("conv2",))
class CustomLayerNorm(Between):
    """layer norm in a class of its own that remembers the width"""

    def __init__(self) -> None:
        super().__init__()
        self.middle = OwnLayerNorm(12)


@case(cut=("conv1",))
class ViewByAttribute(nn.Module):
    """a view takes its width from the linear layer"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.head = conv(3, 6), nn.Linear(6 * 64, CLASSES)

    def forward(self, x: Tensor) -> Any:
        return self.head(torch.relu(self.conv1(x)).view(-1, self.head.in_features))


@case(cut=("stem.0", "first"))
class TwoNames(Headed):
    """one module under two names"""

    def __init__(self) -> None:
        super().__init__(8)
        self.stem, self.first = unit(3, 8), conv(8, 8)
        self.second = self.first

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.second(torch.relu(self.first(self.stem(x)))))


@case(cut=("left", "right", "last"))
class FusionWeights(Headed):
    """two branches added with learned weights (BiFPN), and a learned temperature"""

    def __init__(self) -> None:
        super().__init__(9)
        self.left, self.right, self.last = conv(3, 8), conv(3, 8), conv(8, 9)
        self.share, self.temperature = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(()))

    def features(self, x: Tensor) -> Any:
        share = (self.share * self.temperature).softmax(0)
        return torch.relu(self.last(torch.relu(share[0] * self.left(x) + share[1] * self.right(x))))


@case(cut=("stem.0",))
class NonLocal(Headed):
    """non-local block: products of two convolutions over their channels weigh a third"""

    def __init__(self) -> None:
        super().__init__(8)
        self.stem, self.out = unit(3, 8), conv(6, 8, size=1)
        self.query, self.key, self.value = conv(8, 4, size=1), conv(8, 4, size=1), conv(8, 6, size=1)

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))
        mixed = value @ (query.mT @ key).softmax(-1)
        return torch.relu(x + self.out(mixed.unflatten(2, x.shape[2:])))


@case()
class ChannelAttention(Between):
    """attention over channels: their products with each other, softmax, and back"""

    def between(self, x: Tensor) -> Any:
        flat = x.flatten(2)
        return ((flat @ flat.mT).softmax(-1) @ flat).view_as(x)
