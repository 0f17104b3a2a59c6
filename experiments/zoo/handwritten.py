"""The rows of networks that people write by hand, with torch's own layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from experiments.zoo.audio import KeywordNet, RawAudioNet, RecurrentNet, SpeechNet, TemporalConvNet, Vocoder
from experiments.zoo.network import BATCH, Network, on_pictures
from experiments.zoo.vision import Critic, Mixer, PartlyScripted


def _on_sound(size: str, build: Callable[[], nn.Module], *shape: int, note: str = "") -> Network:
    return Network("torch", size, build, lambda: torch.randn(BATCH, *shape), note)


def _on_pictures(build: Callable[[], nn.Module], note: str = "") -> Network:
    return on_pictures("torch", 32, build, note)


HANDWRITTEN: Mapping[str, Network] = {
    "raw audio (M5)": _on_sound("8000 samples", RawAudioNet, 1, 8000),
    "speech (QuartzNet)": _on_sound("64 bands, 64 steps", SpeechNet, 64, 64),
    "keywords (DS-CNN)": _on_sound("49 steps, 10 bands", KeywordNet, 1, 49, 10),
    "sequence (TCN)": _on_sound(
        "16 channels, 40 steps", TemporalConvNet, 16, 40, note="weight norm by parametrization"
    ),
    "vocoder (HiFi-GAN)": _on_sound("40 bands, 12 steps", Vocoder, 40, 12, note="weight norm by hook"),
    "CNN + LSTM": _on_sound("32 steps, 32 bands", lambda: RecurrentNet(nn.LSTM), 1, 32, 32),
    "CNN + GRU": _on_sound("32 steps, 32 bands", lambda: RecurrentNet(nn.GRU), 1, 32, 32),
    "MLP-Mixer": _on_pictures(Mixer),
    "critic": _on_pictures(lambda: Critic(spectral_norm), "spectral norm by parametrization"),
    "critic, hooks": _on_pictures(lambda: Critic(nn.utils.spectral_norm), "spectral norm by hook"),
    "partly scripted": _on_pictures(PartlyScripted, "a part of it is compiled by torch.jit.script"),
}
