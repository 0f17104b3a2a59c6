"""A vision transformer of timm: whole heads and the hidden widths of its MLPs are cut, its width stays."""

from __future__ import annotations

import lightning as L
import timm
import torch

from experiments.examples.digits import Classifier, Digits
from physprune_pl import PruningReport, physics_pruning


class Tuned(Classifier):
    """A transformer wants Adam; steering then scales the weights instead of writing into the gradient."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=0.01)


def main(epochs: int = 20, depth: int = 4) -> PruningReport:
    """Keep half of the MACs of a small ViT on handwritten digits; return the report."""
    L.seed_everything(0, verbose=False)
    # With pretrained=True and your pictures this is the usual recipe for fine-tuning.
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=8, patch_size=2, in_chans=1, num_classes=10, embed_dim=48, depth=depth
    )
    callbacks = physics_pruning("uniform", target={"macs": 0.5}, finetune_epochs=max(1, epochs // 3))
    trainer = L.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=callbacks)
    trainer.fit(Tuned(model, lr=1e-3), datamodule=Digits())
    return callbacks.report


if __name__ == "__main__":
    print(main().table())
