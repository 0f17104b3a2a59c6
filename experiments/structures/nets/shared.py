"""Gates, shared modules and parameters, and whatever else goes in and out of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, Headed, case, conv, images, sequences, tokens, unit


class Squeeze(Headed):
    """Base: squeeze-and-excite with a gate given by the heir."""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.last = unit(3, 10), conv(10, 12)
        self.down, self.up = nn.Conv2d(10, 4, 1), nn.Conv2d(4, 10, 1)

    def gate(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        squeezed = torch.relu(self.down(x.mean((2, 3), keepdim=True)))
        return self.last(x * self.gate(self.up(squeezed)))


@case(cut=("stem.0", "down", "up", "last"))
class SqueezeExcite(Squeeze):
    """squeeze-and-excite with a sigmoid gate"""


@case(cut=("stem.0", "down", "up", "last"))
class SqueezeExciteHard(Squeeze):
    """squeeze-and-excite with a hard sigmoid gate"""

    def gate(self, x: Tensor) -> Tensor:
        return F.hardsigmoid(x)


@case(cut=("stem.0", "conv"))
class CalledTwice(Headed):
    """one convolution called twice in a row: its inputs are its outputs"""

    def __init__(self) -> None:
        super().__init__(8)
        self.stem, self.conv = unit(3, 8), conv(8, 8)

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.conv(torch.relu(self.conv(self.stem(x)))))


@case(cut=("left.0", "right.0", "shared", "fuse"))
class SharedConv(Headed):
    """one convolution at two places, behind two producers"""

    def __init__(self) -> None:
        super().__init__(9)
        self.left, self.right = unit(3, 8), unit(3, 8)
        self.shared, self.fuse = conv(8, 10), conv(20, 9)

    def features(self, x: Tensor) -> Any:
        return self.fuse(torch.relu(torch.cat([self.shared(self.left(x)), self.shared(self.right(x))], 1)))


@case(cut=("stem.0", "conv1"))
class TiedWeights(Headed):
    """two convolutions with one weight and biases of their own"""

    def __init__(self) -> None:
        super().__init__(8)
        self.stem, self.conv1, self.conv2 = unit(3, 8), conv(8, 8), conv(8, 8)
        self.conv2.weight = self.conv1.weight

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.conv2(torch.relu(self.conv1(self.stem(x)))))


@case(cut=("hidden",), either=("table",), example=tokens)
class TiedHead(nn.Module):
    """embedding table that is the weight of the last layer too"""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.hidden, self.back = nn.Embedding(20, 12), nn.Linear(12, 16), nn.Linear(16, 12)

    def forward(self, words: Tensor) -> Any:
        x = self.table(words)
        x = x + self.back(torch.relu(self.hidden(x)))
        return F.linear(x, self.table.weight)


@case(cut=("hidden",), either=("table",), example=tokens)
class EmbeddingBag(nn.Module):
    """embedding table read by a mean over words"""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.hidden, self.head = nn.EmbeddingBag(20, 12), nn.Linear(12, 16), nn.Linear(16, CLASSES)

    def forward(self, words: Tensor) -> Any:
        return self.head(torch.relu(self.hidden(self.table(words))))


@case(cut=("body",))
class FeatureMaps(nn.Module):
    """returns its inner feature maps: their channels are outputs"""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.last = unit(3, 8), conv(8, 12), conv(12, 8)

    def forward(self, x: Tensor) -> Any:
        first = self.stem(x)
        return [first, self.last(torch.relu(self.body(first)))]


@case(cut=("stem.0", "last"))
class TupleOutput(Headed):
    """nested tuple with None and a number in it"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.last, self.side = unit(3, 8), conv(8, 12), conv(8, 2, size=1)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        return super().forward(x), (self.side(x), None, 3)

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.last(x))


@case(cut=("last",), whole=("stem.0",))
class DictOutput(Headed):
    """dictionary that holds a feature map under a key"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.last = unit(3, 8), conv(8, 12)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        return {"logits": super().forward(x), "deep": {"features": [x.mean((2, 3))]}}

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.last(x))


@dataclass
class Answer:
    """Output of ``DataclassOutput``."""

    logits: Tensor
    features: Tensor


@case(cut=("last",), whole=("stem.0",))
class DataclassOutput(DictOutput):
    """dataclass that holds a feature map in a field"""

    def forward(self, x: Tensor) -> Any:
        out = super().forward(x)
        return Answer(out["logits"], out["deep"]["features"][0])


@case(cut=("left", "right", "last"), example=lambda: (torch.randn(4, 3, 8, 8), torch.randn(4, 2, 8, 8)))
class TwoInputs(nn.Module):
    """two images by position"""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = conv(3, 8), conv(2, 8)
        self.last, self.head = conv(8, 12), nn.Linear(12, CLASSES)

    def forward(self, left: Tensor, right: Tensor) -> Any:
        x = torch.relu(self.last(self.left(left) * torch.tanh(self.right(right))))
        return self.head(x.mean((2, 3)))


@case(
    cut=("left", "right", "last"), example=lambda: {"right": torch.randn(4, 2, 8, 8), "left": torch.randn(4, 3, 8, 8)}
)
class DictInputs(TwoInputs):
    """two images by keyword, in another order"""


@case(cut=("stem.0", "last"))
class TrainOnlyHead(Headed):
    """a second head that runs in training mode only and reads the middle of the network"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.last, self.side = unit(3, 8), conv(8, 12), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        logits = super().forward(x)
        return (logits, self.side(x.mean((2, 3)))) if self.training else logits

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.last(x))


@case(whole=("stem.0",), cut=("last",))
class TrainOnlyFeatures(TrainOnlyHead):
    """returns a feature map in training mode only"""

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        logits = Headed.forward(self, x)
        return (logits, x) if self.training else logits


@case(cut=("stem.0", "last"))
class UnusedModule(Headed):
    """a convolution that no call reaches"""

    def __init__(self) -> None:
        super().__init__(12)
        self.stem, self.last, self.unused = unit(3, 8), conv(8, 12), conv(8, 8)

    def features(self, x: Tensor) -> Any:
        return torch.relu(self.last(self.stem(x)))


@case(cut=("inward", "across"), example=sequences)
class HandWrittenRNN(nn.Module):
    """a loop over steps with linear cells: one weight, seven calls"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.across, self.head = nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Any:
        state = torch.tanh(self.inward(x[:, 0]))
        for step in range(1, x.shape[1]):
            state = torch.tanh(self.inward(x[:, step]) + self.across(state))
        return self.head(state)


@case(example=sequences)
class SizedRNN(HandWrittenRNN):
    """the same loop with a first state whose width is a constant"""

    def forward(self, x: Tensor) -> Any:
        state = x.new_zeros(x.shape[0], 16)
        for step in range(x.shape[1]):
            state = torch.tanh(self.inward(x[:, step]) + self.across(state))
        return self.head(state)


@case(cut=("stem.0", "last"), example=lambda: images().to(memory_format=torch.channels_last))
class ChannelsLast(UnusedModule):
    """weights and input in channels_last"""

    def __init__(self) -> None:
        super().__init__()
        self.to(memory_format=torch.channels_last)
