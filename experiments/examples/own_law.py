"""A force law of one's own: a spring that pulls harder the further a channel is from the pivot."""

from __future__ import annotations

from dataclasses import dataclass

import lightning as L
from torch import Tensor

from experiments.examples.digits import Classifier, Digits, small_network
from physprune_pl import Channels, PruningReport, physics_pruning
from physprune_pl.forces import ForceLaw


@dataclass(frozen=True)
class Spring(ForceLaw):
    """Coefficient c_k = stiffness * d_k."""

    stiffness: float = 1.0

    def __call__(self, channels: Channels) -> Tensor:
        """Return the coefficients, shape [K]."""
        return self.stiffness * channels.distance


def main(epochs: int = 15, folder: str = "runs/own_law") -> PruningReport:
    """Press with the spring, cut to 40 % of the MACs, fine-tune, and return the report."""
    L.seed_everything(0, verbose=False)
    callbacks = physics_pruning(Spring(2.0), target={"macs": 0.4}, finetune_epochs=max(1, epochs // 3))
    trainer = L.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=callbacks, default_root_dir=folder)
    trainer.fit(Classifier(small_network()), datamodule=Digits())
    return callbacks.report


if __name__ == "__main__":
    print(main().table())
