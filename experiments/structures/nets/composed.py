"""Designs from practice in small: pyramids, recurrent convolutions, adapters, text convolutions, autoencoders."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, Headed, case, conv, images, tokens, unit, vectors
from experiments.structures.nets.parameters import Between


@case(cut=("fine.0", "coarse.0", "lateral", "top", "tower.0"), whole=("score",))
class FeaturePyramid(nn.Module):
    """feature pyramid: upsampled add across levels, one head for all levels, a list of outputs"""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = unit(3, 8), unit(8, 12)
        self.lateral, self.top = conv(8, 10, size=1), conv(12, 10, size=1)
        self.tower, self.score = unit(10, 9), conv(9, 2)

    def forward(self, x: Tensor) -> Any:
        fine = self.fine(x)
        top = self.top(self.coarse(F.max_pool2d(fine, 2)))
        levels = [self.lateral(fine) + F.interpolate(top, scale_factor=2), top]
        return [self.score(self.tower(level)) for level in levels]


@case(example=lambda: torch.randn(4, 3, 3, 8, 8))
class ConvLSTM(Headed):
    """convolutional LSTM: four gates from one convolution that reads input and state"""

    def __init__(self) -> None:
        super().__init__(8)
        self.start, self.gates = conv(3, 8), conv(11, 32)

    def forward(self, x: Tensor) -> Any:
        state = memory = torch.tanh(self.start(x[:, 0]))
        for step in range(1, x.shape[1]):
            enter, forget, leave, new = self.gates(torch.cat([x[:, step], state], 1)).chunk(4, 1)
            memory = torch.sigmoid(forget) * memory + torch.sigmoid(enter) * torch.tanh(new)
            state = torch.sigmoid(leave) * torch.tanh(memory)
        return self.head(state.mean((2, 3)))


@case(cut=("inward", "hidden"), example=vectors)
class LowRankAdapter(nn.Module):
    """linear layer with a low-rank update beside it (LoRA), as loose parameters"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.hidden, self.head = nn.Linear(6, 12), nn.Linear(12, 10), nn.Linear(10, CLASSES)
        self.down, self.up = nn.Parameter(torch.randn(4, 12)), nn.Parameter(torch.zeros(10, 4))

    def forward(self, x: Tensor) -> Any:
        x = torch.relu(self.inward(x))
        return self.head(torch.relu(self.hidden(x) + F.linear(F.linear(x, self.down), self.up)))


@case(cut=("short", "long"), either=("table",), example=tokens)
class TextConvolutions(nn.Module):
    """word table, convolutions of two lengths, largest value over time, concat"""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(20, 12), nn.Linear(14, CLASSES)
        self.short, self.long = nn.Conv1d(12, 8, 2), nn.Conv1d(12, 6, 3)

    def forward(self, words: Tensor) -> Any:
        x = self.table(words).transpose(1, 2)
        return self.head(torch.cat([torch.relu(part(x)).amax(2) for part in (self.short, self.long)], 1))


@case(cut=("conv1",), whole=("last",), example=lambda: (images(), images()))
class Siamese(nn.Module):
    """distance between the embeddings of two pictures: a sum over channels is the output"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.last = conv(3, 8), nn.Linear(8, 10)

    def embed(self, x: Tensor) -> Any:
        return self.last(torch.relu(self.conv1(x)).mean((2, 3)))

    def forward(self, one: Tensor, two: Tensor) -> Any:
        return (self.embed(one) - self.embed(two)).pow(2).sum(1)


@case(cut=("inward", "decoder"), example=vectors)
class Variational(nn.Module):
    """variational autoencoder: mean and spread in two halves of a linear layer, noise in training mode"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.latent = nn.Linear(6, 12), nn.Linear(12, 8)
        self.decoder, self.out = nn.Linear(4, 10), nn.Linear(10, 6)

    def forward(self, x: Tensor) -> Any:
        mean, spread = self.latent(torch.relu(self.inward(x))).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (0.5 * spread).exp() if self.training else mean
        return self.out(torch.relu(self.decoder(z)))


@case(cut=("conv1", "conv2"))
class StackedAffine(Between):
    """scale and shift are the two rows of one parameter"""

    def __init__(self) -> None:
        super().__init__()
        self.affine = nn.Parameter(torch.randn(2, 12, 1, 1))

    def between(self, x: Tensor) -> Any:
        return x * self.affine[0] + self.affine[1]


@case()
class FlatAffine(Between):
    """scale and shift are the two halves of one long parameter"""

    def __init__(self) -> None:
        super().__init__()
        self.affine = nn.Parameter(torch.randn(24))

    def between(self, x: Tensor) -> Any:
        scale, shift = self.affine.view(2, -1, 1, 1)
        return x * scale + shift


@case(cut=("inward", "hidden"), example=vectors)
class DeepAndWide(nn.Module):
    """the input joins again in the middle, behind the channels"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.hidden, self.head = nn.Linear(6, 12), nn.Linear(18, 10), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Any:
        inner = torch.relu(self.hidden(torch.cat([torch.relu(self.inward(x)), x], 1)))
        return self.head(torch.cat([inner, x], 1))


class SpatialGateOfSome(Headed):
    """The same where some channels are masked: what is zero everywhere does not count."""

    def __init__(self) -> None:
        super().__init__(9)
        self.stem, self.body, self.pixel, self.last = unit(3, 8), conv(8, 6), conv(2, 1), conv(6, 9)

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        some = x[:, x.movedim(1, 0).flatten(1).any(1)]
        pixel = self.pixel(torch.cat([some.mean(1, keepdim=True), some.amax(1, keepdim=True)], 1))
        return torch.relu(self.last(torch.relu(self.body(x * torch.sigmoid(pixel)))))


@case(cut=("stem.0", "body", "last"), whole=("pixel",))
class SpatialGate(SpatialGateOfSome):
    """spatial attention (CBAM): mean and largest value over channels make a gate for every pixel"""

    in_torch = SpatialGateOfSome

    def features(self, x: Tensor) -> Any:
        x = self.stem(x)
        pixel = self.pixel(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1))
        return torch.relu(self.last(torch.relu(self.body(x * torch.sigmoid(pixel)))))


@case(cut=("stem.0", "left", "right"))
class DividedWidth(Headed):
    """channels split in parts of a size that is divided from an attribute (selective kernels)"""

    def __init__(self) -> None:
        super().__init__(9)
        self.width, self.paths = 16, 2
        self.stem, self.left, self.right = unit(3, 16), conv(8, 9), conv(8, 9)

    def features(self, x: Tensor) -> Any:
        first, second = torch.split(self.stem(x), self.width // self.paths, 1)
        return torch.relu(self.left(first) + torch.tanh(self.right(second)))
