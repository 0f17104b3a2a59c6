"""replay-rec: the next item of a sequence by SASRec."""

from __future__ import annotations

from typing import Any

import torch

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import both, generator

ITEMS, LENGTH = 20, 12


def samples(count: int, seed: int) -> list[Any]:
    """Return sequences that step through the items by one, two or three, as replay's own named tuple."""
    from replay.models.nn.sequential.sasrec import SasRecTrainingBatch

    random = generator(seed)
    found = []
    for index in range(count):
        start, step = int(torch.randint(ITEMS, (1,), generator=random)), 1 + index % 3
        items = (start + step * torch.arange(LENGTH + 1)) % ITEMS
        seen = torch.ones(LENGTH, dtype=torch.bool)
        found.append(SasRecTrainingBatch(torch.tensor([index]), seen, {"item_id": items[:-1]}, items[1:], seen))
    return found


def client() -> Client:
    """Return replay's SasRec over one categorical feature."""
    from replay.data import FeatureHint, FeatureSource, FeatureType
    from replay.data.nn import TensorFeatureInfo, TensorFeatureSource, TensorSchema
    from replay.models.nn.sequential import SasRec

    schema = TensorSchema(
        TensorFeatureInfo(
            "item_id",
            FeatureType.CATEGORICAL,
            is_seq=True,
            feature_hint=FeatureHint.ITEM_ID,
            feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, "item_id")],
            cardinality=ITEMS,
            padding_value=ITEMS,
        )
    )

    class Validated(SasRec):  # type: ignore[misc]
        """The library's module scores items in validation; here it logs its training loss too."""

        def validation_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
            self.log("val_loss", self._compute_loss(batch))

    return Client(
        module=lambda: Validated(schema, block_count=2, head_count=2, hidden_size=32, max_seq_len=LENGTH),
        data=Loaders(*both(samples, 256)),
        metric="val_loss",
        epochs=300,
        what="SasRec, walks through 20 items",
        style="batch is a named tuple with a dict in it; loss by name; hyper-parameters hold objects of the library",
    )
