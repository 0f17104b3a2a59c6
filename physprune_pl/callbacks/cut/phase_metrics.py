"""What validation finds at the moments that a report names, and the best weights since the cut."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

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
from physprune_pl.reports.baseline import Baseline, DenseMetric


class PhaseMetrics:
    """Notes what validation finds before the cut, right after it, and at the end, each at that very moment.

    Where the trainer's own validation is older than the last optimizer step, there is one more, which nobody else sees.

    Args:
        owner: the callback whose fit it is; no such validation calls it.
        monitor: metric that chooses among the weights since the cut; None: see
            :func:`~physprune_pl.callbacks.trainer.monitors.find_monitor`.
        mode: ``"min"`` or ``"max"``, with ``monitor``.
        baseline: what the dense network reaches, see :class:`~physprune_pl.reports.baseline.DenseMetric`.

    Attributes:
        name: of the metric that chooses, once a fit has begun; None where there is none.
    """

    def __init__(self, owner: Callback, monitor: str | None, mode: Mode | None, baseline: Baseline | None) -> None:
        self._owner, self._monitor, self._mode = owner, monitor, mode
        self._dense = None if baseline is None else DenseMetric.of(baseline)
        self.name = monitor

    def begin(self, trainer: Trainer) -> None:
        """Begin with a fit.

        Raises:
            ValueError: the metric of the dense network is another one.
        """
        self.name = self._watched(trainer)[0]
        if self._dense is not None and self.name is not None:
            self._dense.check(self.name)

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
        self._note_dense(record)

    def _note_dense(self, record: Record) -> None:
        name = record.metric_name(self.name)
        if self._dense is None or name is None:
            return
        try:
            self._dense.check(name)
        except ValueError as error:  # without a monitor the name is known at the end only, and the fit is worth more
            rank_zero_warn(f"{error}; the report has no dense metric")
        else:
            record.metrics["dense"] = {name: self._dense.value}

    def _validate(self, trainer: Trainer, record: Record) -> Metrics:
        record.validated_at = trainer.global_step
        return validate_quietly(trainer, but=self._owner)
