"""asteroid: separation of two voices by ConvTasNet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import both, generator

LENGTH = 800


def samples(count: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Return mixtures [LENGTH] of a low and a high tone, and both tones [2, LENGTH]."""
    random = generator(seed)
    steps = torch.arange(LENGTH) / 8000.0
    found = []
    for _ in range(count):
        low, high = 200 + 200 * torch.rand(1, generator=random), 900 + 600 * torch.rand(1, generator=random)
        tones = torch.stack([torch.sin(6.28 * tone * steps) for tone in (low, high)])
        found.append((tones.sum(0), tones))
    return found


def client() -> Client:
    """Return asteroid's System around a small ConvTasNet."""
    from asteroid.engine.system import System
    from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr
    from asteroid.models import ConvTasNet

    train, validation = both(samples, 64)

    def module() -> Any:
        sizes = {"n_filters": 32, "kernel_size": 16, "stride": 8, "n_blocks": 2, "n_repeats": 1}
        widths = {"bn_chan": 16, "hid_chan": 32, "skip_chan": 16}
        network = ConvTasNet(n_src=2, **sizes, **widths)
        loss = PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx")
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        return System(network, optimizer, loss, train(), validation())

    return Client(
        module=module,
        data=Loaders(train, validation),
        metric="val_loss",
        what="System, ConvTasNet, two tones",
        style="the optimizer and the loaders are attributes of the module; waveforms are unsqueezed inside",
        # The end of its validation logs to trainer.logger without asking whether there is one.
        trainer=(("logger", True),),
    )
