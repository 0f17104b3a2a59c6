"""What the tracker takes of an epoch: ``python -m experiments.goals.tracker [CASE ...]``."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import CSVLogger

from experiments.goals.stored_figures import Row, keep, write_page
from experiments.training.assembly import build_data, build_model, composed
from physprune_pl import ChannelTracker, ForceRegularization

# Settings of train.py, by what they train.
CASES = {
    "resnet20 on cifar10": ("data=cifar10", "data.verify=false", "model=resnet20"),
    "resnet20 on digits": ("data=digits", "model=resnet20"),
    "resnet56 on digits": ("data=digits", "model=resnet56"),
}
EPOCHS = 100
STEPS = 1
LAST = 10


class TimedTracker(ChannelTracker):
    """A tracker that notes its own processor time: of every record, and of the history in every checkpoint.

    Attributes:
        milliseconds: one per epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.milliseconds: list[float] = []

    @contextmanager
    def _noted(self) -> Iterator[None]:
        start = time.process_time()
        yield
        self.milliseconds[-1] += 1000.0 * (time.process_time() - start)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record, and note the time."""
        self.milliseconds.append(0.0)
        with self._noted():
            super().on_train_epoch_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Return the history, and note the time."""
        with self._noted():
            return super().state_dict()


class StepClock(L.Callback):
    """Notes the processor time of every training step, from its first hook to its last.

    Attributes:
        milliseconds: one per step.
    """

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self._start = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        """Start."""
        self._start = time.process_time()

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop."""
        self.milliseconds.append(1000.0 * (time.process_time() - self._start))


def measured(case: str, epochs: int = EPOCHS) -> Row:
    """Return the tracker's time of an epoch, and as a share of the steps of a whole one.

    The fit has a force, a logger and a checkpoint every epoch. Its epochs have one step: the tracker works at
    their ends, and its file grows with their number. A whole epoch is taken as its number of steps times the median
    step, without validation, which makes the share larger than it is.

    Args:
        case: name in :data:`CASES`.
        epochs: of the fit.
    """
    config = composed(CASES[case])
    L.seed_everything(0, verbose=False)
    data = build_data(config)
    model = build_model(config, data)
    clock, tracker = StepClock(), TimedTracker()
    with tempfile.TemporaryDirectory() as folder:
        trainer = L.Trainer(
            max_epochs=epochs,
            limit_train_batches=STEPS,
            limit_val_batches=0,
            log_every_n_steps=STEPS,
            accelerator="cpu",
            logger=CSVLogger(folder),
            callbacks=[clock, ForceRegularization("exponential", 1e-4), tracker],
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(model, datamodule=data)
    steps = len(data.train_dataloader())
    return {"network": case, "way": "tracker", "epochs": epochs} | shares(
        clock.milliseconds, tracker.milliseconds, steps
    )


def shares(step: list[float], tracker: list[float], steps: int) -> Row:
    """Return medians in milliseconds, of all epochs and of the last ones, and both as shares of an epoch.

    >>> shares([10.0, 10.0], [1.0, 2.0, 3.0], 100)["share"]
    0.002
    """
    epoch, all_of_them, last = steps * median(step), median(tracker), median(tracker[-LAST:])
    times = {"step": median(step), "steps": steps, "tracker": all_of_them, "tracker_last": last}
    return {**times, "share": all_of_them / epoch, "share_last": last / epoch}


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="*", default=list(CASES))
    torch.set_num_threads(1)
    for case in parser.parse_args().case:
        keep("tracker", measured(case))
    write_page()


if __name__ == "__main__":
    main()
