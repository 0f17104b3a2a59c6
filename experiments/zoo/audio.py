"""Networks for sound, as people write them by hand: waveforms, spectra over time, spectrograms as pictures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from experiments.zoo.network import CLASSES


class RawAudioNet(nn.Module):
    """Four convolutions on the waveform [B, 1, T], as in M5."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *self._stage(1, width, 80, 16),
            *self._stage(width, width, 3, 1),
            *self._stage(width, 2 * width, 3, 1),
            *self._stage(2 * width, 2 * width, 3, 1),
        )
        self.head = nn.Linear(2 * width, CLASSES)

    @staticmethod
    def _stage(inputs: int, outputs: int, kernel: int, stride: int) -> tuple[nn.Module, ...]:
        return nn.Conv1d(inputs, outputs, kernel, stride), nn.BatchNorm1d(outputs), nn.ReLU(), nn.MaxPool1d(4)

    def forward(self, waveform: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(waveform).mean(-1))
        return logits.log_softmax(-1)


class TimeSeparable(nn.Sequential):
    """A filter over time for every channel, then a mixture of channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv1d(inputs, inputs, kernel, stride, kernel // 2, groups=inputs, bias=False),
            nn.Conv1d(inputs, outputs, 1, bias=False),
            nn.BatchNorm1d(outputs),
        )


class ResidualSpeechBlock(nn.Module):
    """Time-separable convolutions beside a convolution of width one."""

    def __init__(self, inputs: int, outputs: int, kernel: int, repeats: int) -> None:
        super().__init__()
        widths = [inputs, *[outputs] * repeats]
        layers: list[nn.Module] = []
        for one, other in pairwise(widths):
            layers += [TimeSeparable(one, other, kernel), nn.ReLU(), nn.Dropout(0.1)]
        self.main = nn.Sequential(*layers[:-2])
        self.beside = nn.Sequential(nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.main(x) + self.beside(x))


class SpeechNet(nn.Module):
    """Spectra [B, 64, T] to log-probabilities of letters [B, T / 2, classes], without recurrence, as in QuartzNet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(TimeSeparable(64, 64, 11, stride=2), nn.ReLU())
        self.blocks = nn.Sequential(
            ResidualSpeechBlock(64, 64, 11, 3), ResidualSpeechBlock(64, 96, 13, 3), ResidualSpeechBlock(96, 96, 15, 3)
        )
        self.last = nn.Sequential(TimeSeparable(96, 128, 17), nn.ReLU(), nn.Conv1d(128, 128, 1), nn.ReLU())
        self.letters = nn.Conv1d(128, CLASSES, 1)

    def forward(self, spectra: Tensor) -> Tensor:
        logits: Tensor = self.letters(self.last(self.blocks(self.stem(spectra))))
        return logits.transpose(1, 2).log_softmax(-1)


class KeywordNet(nn.Module):
    """Depthwise separable convolutions on a spectrogram [B, 1, T, bands], as in DS-CNN."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers = [*self._with_norm(nn.Conv2d(1, width, (10, 4), 2, (5, 1), bias=False))]
        for _ in range(4):
            layers += self._with_norm(nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False))
            layers += self._with_norm(nn.Conv2d(width, width, 1, bias=False))
        self.features = nn.Sequential(*layers, nn.Dropout(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(width, CLASSES)

    @staticmethod
    def _with_norm(conv: nn.Conv2d) -> tuple[nn.Module, ...]:
        return conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU()

    def forward(self, spectrogram: Tensor) -> Any:
        return self.head(self.features(spectrogram))


class CausalBlock(nn.Module):
    """Two dilated convolutions with weight norm that see no later step, and a residual sum."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.ahead = 2 * dilation
        self.first = weight_norm(nn.Conv1d(inputs, outputs, 3, padding=self.ahead, dilation=dilation))
        self.second = weight_norm(nn.Conv1d(outputs, outputs, 3, padding=self.ahead, dilation=dilation))
        self.beside = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.first(x)[:, :, : -self.ahead])
        inner = F.relu(self.second(F.dropout(inner, 0.1, self.training))[:, :, : -self.ahead])
        return F.relu(inner + self.beside(x))


class TemporalConvNet(nn.Module):
    """Causal blocks on a sequence [B, 16, T]; the last step is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(CausalBlock(16, 32, 1), CausalBlock(32, 32, 2), CausalBlock(32, 48, 4))
        self.head = nn.Linear(48, CLASSES)

    def forward(self, sequence: Tensor) -> Any:
        return self.head(self.blocks(sequence)[:, :, -1])


def hooked_weight_norm(layer: nn.Module) -> nn.Module:
    """Return a layer whose weight a hook computes before every call: the older weight norm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        computed: nn.Module = nn.utils.weight_norm(layer)
    return computed


class Dilated(nn.Module):
    """Two residual convolutions of a vocoder."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.wide = hooked_weight_norm(nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation))
        self.narrow = hooked_weight_norm(nn.Conv1d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.narrow(F.leaky_relu(self.wide(F.leaky_relu(x, 0.1)), 0.1))
        return x + inner


class Vocoder(nn.Module):
    """Spectra [B, 40, T] to a waveform [B, 1, 16 T] by transposed convolutions, as in HiFi-GAN."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [hooked_weight_norm(nn.Conv1d(40, 64, 7, padding=3))]
        for width in (64, 32):
            layers += [nn.LeakyReLU(0.1), hooked_weight_norm(nn.ConvTranspose1d(width, width // 2, 8, 4, 2))]
            layers += [Dilated(width // 2, 1), Dilated(width // 2, 3)]
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(0.1))
        self.last = hooked_weight_norm(nn.Conv1d(16, 1, 7, padding=3))

    def forward(self, spectra: Tensor) -> Tensor:
        return torch.tanh(self.last(self.layers(spectra)))


class RecurrentNet(nn.Module):
    """Convolutions that halve time and bands of a spectrogram [B, 1, T, bands], and a recurrent layer over time."""

    def __init__(self, recurrent: Callable[..., nn.Module], bands: int = 32, width: int = 16) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU()),
            *(nn.Conv2d(2 * width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d((1, 2))),
        )
        self.recurrent = recurrent(width * bands // 8, 24, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Linear(48, 40), nn.ReLU(), nn.Linear(40, CLASSES))

    def forward(self, spectrogram: Tensor) -> Any:
        steps = self.features(spectrogram).transpose(1, 2).flatten(2)
        return self.head(self.recurrent(steps)[0])
