"""What validation finds at the moments that a report names, and the best weights since the cut."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer

from physprune_pl.callbacks.cut.averages import validated
from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.trainer.internals import averaged_copies
from physprune_pl.callbacks.trainer.monitors import (
    Metrics,
    Mode,
    Watched,
    find_monitor,
    save_unsaved,
)
from physprune_pl.callbacks.trainer.quiet_validation import fresh_metrics, validate_quietly


class PhaseMetrics:
    """Notes what validation finds before the cut, right after it, and at the end, each at that very moment.

    Where the trainer's own validation is older than the last optimizer step, there is one more, which nobody else sees.

    Args:
        owner: the callback whose fit it is; no such validation calls it.
        monitor: metric that chooses among the weights since the cut; None: see
            :func:`~physprune_pl.callbacks.trainer.monitors.find_monitor`.
        mode: ``"min"`` or ``"max"``, with ``monitor``.

    Attributes:
        name: of the metric that chooses, once a fit has begun; None where there is none.
    """

    def __init__(self, owner: Callback, monitor: str | None, mode: Mode | None) -> None:
        self._owner, self._monitor, self._mode = owner, monitor, mode
        self.name = monitor

    def begin(self, trainer: Trainer) -> None:
        """Begin with a fit."""
        self.name = self._watched(trainer)[0]

    def _watched(self, trainer: Trainer) -> Watched:
        if self._monitor is not None and self._mode is not None:
            return self._monitor, self._mode
        return find_monitor(trainer)

    def note(self, trainer: Trainer, pl_module: LightningModule, record: Record) -> None:
        """Note what the loop that runs now has found, and judge the weights by it if they are cut."""
        metrics = fresh_metrics(trainer)
        if trainer.validating:
            record.metrics["after_sparsify" if record.phase == "sparsify" else "after_finetune"] = metrics
            record.validated_at = trainer.global_step
        if record.phase == "finetune":
            record.judge(validated(trainer, pl_module), metrics, *self._watched(trainer))

    def before_cut(self, trainer: Trainer, record: Record) -> None:
        """Note what the dense network is worth now, at the end of its phase."""
        if record.validated_at != trainer.global_step:
            record.metrics["after_sparsify"] = self._validate(trainer, record)

    def after_cut(self, trainer: Trainer, pl_module: LightningModule, record: Record) -> None:
        """Note what the cut network is worth; fine-tuning may make it worse, so that it is the first candidate."""
        record.metrics["after_cut"] = self._validate(trainer, record)
        record.judge(validated(trainer, pl_module), record.metrics["after_cut"], *self._watched(trainer))

    def at_end(self, trainer: Trainer, pl_module: LightningModule, record: Record) -> None:
        """Note what the last weights are worth, then put the best ones back; a file of what is left is there then."""
        if record.validated_at != trainer.global_step:
            record.metrics["after_finetune"] = self._validate(trainer, record)
            record.judge(validated(trainer, pl_module), record.metrics["after_finetune"], *self._watched(trainer))
        self.put_back(trainer, pl_module, record)

    def put_back(self, trainer: Trainer, pl_module: LightningModule, record: Record) -> None:
        """Put the best weights back, and let every ModelCheckpoint that has no file of the cut network save one."""
        record.restore_best(pl_module, *averaged_copies(trainer))
        save_unsaved(trainer, record.metrics.get("after_finetune") or record.metrics.get("after_cut", {}))

    def _validate(self, trainer: Trainer, record: Record) -> Metrics:
        record.validated_at = trainer.global_step
        return validate_quietly(trainer, but=self._owner)
