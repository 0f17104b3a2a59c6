"""pytorch-lifestream: the class of a sequence of events by a transformer."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import both, generator


def samples(count: int, seed: int) -> list[tuple[dict[str, Any], int]]:
    """Return events of two kinds of people: one buys small things often, the other large things seldom."""
    random = generator(seed)
    found = []
    for index in range(count):
        kind, length = index % 2, int(torch.randint(6, 12, (1,), generator=random))
        codes = torch.randint(1, 6, (length,), generator=random) + kind
        amounts = torch.rand(length, generator=random) + 0.1 * kind
        found.append(({"event_time": torch.arange(length), "code": codes, "amount": amounts}, kind))
    return found


def collated(parts: list[tuple[dict[str, Any], int]]) -> Any:
    """Return the library's own padded batch and the targets."""
    from ptls.data_load.utils import collate_feature_dict

    events, kinds = zip(*parts, strict=True)
    return collate_feature_dict(events), torch.tensor(kinds)


def client() -> Client:
    """Return SequenceToTarget with a transformer of width 32 over embedded events."""
    from ptls.frames.supervised import SequenceToTarget
    from ptls.nn import TransformerSeqEncoder, TrxEncoder
    from torchmetrics import Accuracy

    def module() -> Any:
        events = TrxEncoder(
            embeddings={"code": {"in": 12, "out": 8}}, numeric_values={"amount": "identity"}, linear_projection_size=32
        )
        encoder = TransformerSeqEncoder(events, input_size=32, n_heads=4, dim_hidden=64, n_layers=2)
        head = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2), nn.LogSoftmax(dim=1))
        optimizer = partial(torch.optim.Adam, lr=3e-3)
        schedule = partial(torch.optim.lr_scheduler.StepLR, step_size=20)
        score = Accuracy("multiclass", num_classes=2)
        return SequenceToTarget(encoder, head, nn.NLLLoss(), score, optimizer, schedule)

    return Client(
        module=module,
        data=Loaders(*both(samples, collate_fn=collated)),
        metric="val_loss",
        what="SequenceToTarget, transformer over events",
        style="batch is (PaddedBatch, target), an own class around a dict and lengths; forward takes the object",
    )
