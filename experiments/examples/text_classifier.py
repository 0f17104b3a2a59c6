"""A text classifier of Hugging Face: inputs are a dict of ids and mask, the network returns an object with scores."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForSequenceClassification

from physprune_pl import PruningReport, physics_pruning

Sample = dict[str, Tensor]


class TextClassifier(L.LightningModule):
    """Takes what a tokenizer gives: ``input_ids``, ``attention_mask`` and ``labels``."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def training_step(self, batch: Sample) -> Tensor:
        loss: Tensor = self.network(**batch).loss
        return loss

    def validation_step(self, batch: Sample) -> None:
        scores = self.network(**batch).logits
        self.log("val_acc", (scores.argmax(1) == batch["labels"]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def sentences(count: int, length: int = 12) -> list[Sample]:
    """Return made-up sentences of 20 words; the class is whether word 7 occurs. Put your tokenizer here."""
    ids = torch.randint(1, 20, (count, length))
    return [{"input_ids": row, "attention_mask": row > 0, "labels": (row == 7).any().long()} for row in ids]


def main(epochs: int = 10, count: int = 512) -> PruningReport:
    """Keep half of the MACs: heads and hidden widths are cut; return the report."""
    L.seed_everything(0, verbose=False)
    sizes: dict[str, Any] = {"vocab_size": 20, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    network = BertForSequenceClassification(BertConfig(**sizes, intermediate_size=64, max_position_embeddings=16))
    callbacks = physics_pruning("gravity", target={"macs": 0.5}, finetune_epochs=max(1, epochs // 3))
    trainer = L.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=callbacks)
    train: DataLoader[Sample] = DataLoader(sentences(count), 32, shuffle=True)  # type: ignore[arg-type]
    val: DataLoader[Sample] = DataLoader(sentences(64), 32)  # type: ignore[arg-type]
    trainer.fit(TextClassifier(network), train, val)
    return callbacks.report


if __name__ == "__main__":
    print(main().table())
