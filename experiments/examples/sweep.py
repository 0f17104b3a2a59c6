"""A sweep in plain Python: laws times targets, each run with its report, and one page that compares them all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import CSVLogger

from experiments.examples.digits import Classifier, Digits, small_network
from physprune_pl import physics_pruning
from physprune_pl.reports.page import Comparison, write_comparison


def main(
    laws: Sequence[str] = ("uniform", "torque", "gravity"),
    shares: Sequence[float] = (0.6, 0.3),
    epochs: int = 15,
    folder: str | Path = "runs/sweep",
) -> Comparison:
    """Run everything, write ``comparison.html`` and return what it compares."""
    runs = []
    for law, share in product(laws, shares):
        run = Path(folder) / f"{law}-{share}"
        L.seed_everything(0, verbose=False)
        callbacks = physics_pruning(
            law, target={"macs": share}, finetune_epochs=max(1, epochs // 3), monitor="val_acc", mode="max"
        )
        trainer = L.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=callbacks, logger=CSVLogger(run, None, ""))
        trainer.fit(Classifier(small_network()), datamodule=Digits())
        runs.append(run)
    comparison = Comparison.of(runs)
    write_comparison(comparison, Path(folder) / "comparison.html")
    return comparison


if __name__ == "__main__":
    for row in main().rows():
        print(*row, sep="  ")
