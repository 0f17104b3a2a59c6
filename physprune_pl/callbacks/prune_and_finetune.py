"""Cuts the network in the middle of one fit and goes on training what is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import nn

from physprune_pl.callbacks.cut import checks
from physprune_pl.callbacks.cut.aim import Aim
from physprune_pl.callbacks.cut.epoch_costs import note_epoch
from physprune_pl.callbacks.cut.facts_of_fit import report_of_fit
from physprune_pl.callbacks.cut.final_cut import cut_for_good
from physprune_pl.callbacks.cut.fit_preview import preview_of_fit
from physprune_pl.callbacks.cut.phase_metrics import PhaseMetrics
from physprune_pl.callbacks.cut.recorded_callback import RecordedCallback
from physprune_pl.callbacks.cut.reloading import complete
from physprune_pl.callbacks.cut.shapes import AnyWidth
from physprune_pl.callbacks.cut.waves import Waves
from physprune_pl.callbacks.session.fit_arguments import FitArguments
from physprune_pl.callbacks.session.phase import PhaseLength
from physprune_pl.callbacks.session.progress_bar import forget_progress, show_progress
from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.session.resumed_groups import regroup_as_saved, thaw
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.session.session_callback import share
from physprune_pl.callbacks.trainer.checkpoints import complete_files
from physprune_pl.callbacks.trainer.limits import Limits
from physprune_pl.callbacks.trainer.monitor_check import MonitorCheck
from physprune_pl.callbacks.trainer.monitors import Mode, forget_scores
from physprune_pl.callbacks.trainer.next_step import step_of
from physprune_pl.callbacks.trainer.rebuild import rebuild_optimizers
from physprune_pl.callbacks.trainer.refusals import check_arguments, check_hooks, check_trainer
from physprune_pl.latency import Stopwatch
from physprune_pl.networks.example import ExampleInput
from physprune_pl.networks.ignored import Ignore, Ignored
from physprune_pl.removals import Removal, resolve_removal
from physprune_pl.reports.baseline import Baseline
from physprune_pl.reports.report import PruningReport
from physprune_pl.targets.target import Target, parse_target
from physprune_pl.targets.widths import RoundTo, SameWidth, Shares, Widths


class PruneAndFinetune(RecordedCallback):
    """Removes channels after ``max_epochs`` epochs and fine-tunes the smaller network in the same fit.

    *Sparsify* lasts ``max_epochs`` (0 prunes at once) or ``max_steps`` of the trainer, whichever comes first; an
    EarlyStopping may end it. Then the channels that steering penalised, or the least important ones, are removed so
    that the target is met. *Finetune* lasts ``finetune_epochs`` epochs, with new optimizers. The last checkpoint before
    the cut is dense and stays; ModelCheckpoint and EarlyStopping start again after it.

    ``max_time`` is shared: sparsify may use its share of the epochs, fine-tuning the rest. The copy of WeightAveraging
    or EMAWeightAveraging is pruned too; validation and ``monitor`` judge it, and the fit ends with it.

    Args:
        target: what to keep, such as ``{"macs": 0.4}``; see :func:`~physprune_pl.targets.target.parse_target`.
        finetune_epochs: epochs added after the cut; with 0 the cut is the last thing that happens in the fit.
        finetune_lr: learning rate of fine-tuning; None: a tenth of each parameter group's initial one.
        monitor, mode: metric that chooses the weights to keep, and ``"min"`` or ``"max"``; None: of the first
            ModelCheckpoint, else EarlyStopping, else the last weights are kept.
        round_to: channels kept are a multiple of this; ``"auto"``: of what this device likes.
        min_share, max_share: name or regular expression of modules -> least and largest share of channels to keep.
        session: state shared with other callbacks; None: with the trainer's :class:`ForceRegularization`.
        stopwatch, module, example_input, ignore: what times the network, which submodule it is, what it is traced with,
            modules not to prune; see :class:`~physprune_pl.callbacks.session.session.PruningSession`.
        baseline, same_width: of the dense network, and what keeps one width in all layers, see
            :func:`~physprune_pl.physics_pruning`.
        removal: when channels go: ``"once"``, ``"gradual"``, or an object of :mod:`physprune_pl.removals`.

    Attributes:
        report: the :class:`~physprune_pl.reports.report.PruningReport`, None before the end of the fit.

    Raises:
        ValueError: for an argument outside its range; at the start of a fit for a contradiction with the force, a
            target out of reach, a frozen network, LBFGS, no ``max_epochs`` or ``max_steps``, StochasticWeightAveraging.
    """

    role = "cut"

    def __init__(
        self,
        target: Mapping[str, float] | Target,
        finetune_epochs: int = 20,
        finetune_lr: float | None = None,
        monitor: str | None = None,
        mode: Mode | None = None,
        round_to: RoundTo = None,
        session: PruningSession | None = None,
        min_share: Shares | None = None,
        max_share: Shares | None = None,
        stopwatch: Stopwatch | None = None,
        *,
        module: str | None = None,
        example_input: ExampleInput | None = None,
        ignore: Ignore = (),
        baseline: Baseline | None = None,
        removal: str | Removal = "once",
        same_width: SameWidth = (),
    ) -> None:
        self.target, self.removal = parse_target(target), resolve_removal(removal)
        widths = Widths(round_to=round_to, min_share=min_share or {}, max_share=max_share or {}, same_width=same_width)
        network = FitArguments(module, example_input, Ignored.of(ignore))
        super().__init__(session, replace(network, target=self.target, widths=widths, stopwatch=stopwatch))
        check_arguments(finetune_epochs, finetune_lr, monitor, mode)
        self.finetune_epochs, self.finetune_lr, self.monitor, self.mode = finetune_epochs, finetune_lr, monitor, mode
        self._metrics = PhaseMetrics(self, monitor, mode, baseline)
        self.report: PruningReport | None = None
        self._cut_by, self._any_width, self._monitored = Record(), AnyWidth(), MonitorCheck(monitor)
        self._fitting = self._due = self._stepped = False

    @property
    def facts(self) -> dict[str, Any]:
        """The figures of the report so far; empty before the cut."""
        return self.record.facts(self._metrics.name)

    def preview(self, model: nn.Module, example_input: ExampleInput | None = None) -> str:
        """Say, before an expensive fit, what it would do: groups, costs, whether the target is in reach, phases.

        Raises:
            ValueError: there is no example input, or nothing can be pruned.
        """
        return preview_of_fit(model, self.session, self.target, self.finetune_epochs, example_input)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let checkpoints of any width load; at the start of a fit, check what can be checked."""
        share(trainer, stage == "fit")
        self._aim = Aim(self.session)
        self._waves = Waves(self.session, self.removal)
        self._any_width.attach(pl_module, self._cut_by)
        self._fitting = self._due = self._stepped = False
        self._monitored.begin()
        if stage != "fit":
            return
        check_trainer(trainer, self.finetune_epochs)
        check_hooks(pl_module)
        self.report = None
        self.session.begin(trainer)
        self._limits = Limits(trainer, self.finetune_epochs)
        kind = type(pl_module)
        complete_files(trainer, self.state_key, lambda file: complete(file, self.state_key, self.record, kind))
        self._fitting = True

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """On a resume, continue in the phase of the checkpoint, before loops and optimizers are restored."""
        record, limits = self.record, self._limits
        self._metrics.begin(trainer)
        thaw(record, pl_module)
        if trainer.ckpt_path is None:
            record.start = trainer.current_epoch  # of a trainer that fits again
        checks.check_epochs_left(trainer, limits)
        self.session.length = PhaseLength(record.start, limits.epochs - record.start, limits.steps)
        self._waves.begin(trainer, limits)
        limits.take_over(trainer)
        finetuning = record.phase == "finetune"
        if record.end is not None and (finetuning or limits.epochs <= record.end):
            limits.extend(trainer, record.end)
        if finetuning:
            self.session.enter_finetuning(PhaseLength(record.end or 0, limits.added))
            if limits.added:
                rebuild_optimizers(trainer, limits.added, self.finetune_lr)
        regroup_as_saved(record, trainer, pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what cannot work before an expensive fit, and see whether the target can be met."""
        self.record.begin(trainer.strategy.root_device)
        if self.record.phase == "finetune":
            return
        checks.check_start(trainer, pl_module, self._limits)
        self._limits.begin(trainer)
        self._aim.find_chooser(trainer, pl_module, self.record)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Trace with the step that begins where there was no other example input, and cut if that was waited for."""
        if self.record.phase == "sparsify" and not self._aim.known:
            self._aim.find_chooser(trainer, pl_module, self.record, step_of(trainer, batch, batch_idx))
        if self._due and self.session.ready:
            self._end_of_part(trainer, pl_module)
        if self.record.phase == "finetune" or self.session.mean_coefficient is None:
            show_progress(trainer, pl_module, self.session)
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *outputs: Any) -> None:
        """End the epoch where the steps of the sparsify phase are used up; see what the first step has logged."""
        self._stepped = True
        self._monitored.first_step(trainer)
        if self.record.phase == "sparsify":
            self._limits.end_epoch(trainer)
        super().on_train_batch_end(trainer, pl_module, *outputs)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the last epoch of the sparsify phase only raise the limit; the checkpoint that follows is dense."""
        note_epoch(self.session)
        if self.record.phase == "finetune":
            self._metrics.note(trainer, pl_module, self.record)
            return
        processed = trainer.current_epoch + 1
        self._limits.hold_on(trainer, processed)
        if not self._limits.ended(trainer, processed):
            return
        if self._limits.added:
            self.record.end = processed
            self.record.removed = self._aim.choose(self._aim.need_chooser(trainer, pl_module, self.record), self.record)
        self._limits.extend(trainer, processed)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Cut when the sparsify phase or a wave is over; without a step so far, once one tells what to trace with."""
        self._monitored.epoch(trainer)
        self.record.begin_epoch()
        if self.record.phase == "sparsify" and (self._limits.over(trainer) or self._waves.over(trainer)):
            self._due = True
            if self._aim.find_chooser(trainer, pl_module, self.record) is not None:
                self._end_of_part(trainer, pl_module)

    def _end_of_part(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._due = False
        if not self._limits.over(trainer):
            self._waves.end(trainer, pl_module)
            self._cut_by = self.record
            return
        self._cut(trainer, pl_module)
        forget_progress(trainer)
        self._limits.let_go(trainer)
        self._limits.extend(trainer, trainer.current_epoch)
        rebuild_optimizers(trainer, self._limits.added, self.finetune_lr)

    def _cut(self, trainer: Trainer, pl_module: LightningModule, validates: bool = True) -> None:
        record = self.record
        record.finish("sparsify")
        if validates:
            self._metrics.before_cut(trainer, record)
        if not self._limits.epochs:
            record.metrics["dense"] = record.metrics["after_sparsify"]
        chooser = self._aim.need_chooser(trainer, pl_module, record)
        removed = record.removed or self._aim.choose(chooser, record)
        cut_for_good(trainer, pl_module, self.session, chooser, removed)
        self._cut_by, record.end, record.removed = record, trainer.current_epoch, None
        self.session.enter_finetuning(PhaseLength(trainer.current_epoch, self._limits.added))
        forget_scores(trainer)
        if validates:
            self._metrics.after_cut(trainer, pl_module, record)
        record.finish("cut")
        checks.tell_cut(record, self.target)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the metrics of the last validation of each phase, and the best weights of fine-tuning."""
        if self._fitting:
            self._monitored.note(trainer)
        if self._fitting and not trainer.sanity_checking:
            self._metrics.note(trainer, pl_module, self.record)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Without fine-tuning cut now; with it, put the best weights back."""
        if self.record.phase == "sparsify" and not self._limits.added:
            self._cut(trainer, pl_module)
        self._metrics.at_end(trainer, pl_module, self.record)
        self.record.tick()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the report; a fit resumed with nothing left to train did not come by ``on_train_end``."""
        if self.record.phase == "sparsify" and not self._limits.added:
            self._cut(trainer, pl_module, validates=False)
        checks.check_end(trainer, self.record, self._stepped)
        if self.record.phase == "finetune":
            self._metrics.put_back(trainer, pl_module, self.record)
            self.report = report_of_fit(trainer, pl_module, self.session, self._metrics.name)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave trainer and network as a fit finds them."""
        super().on_exception(trainer, pl_module, exception)
        self._leave(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Leave trainer and network as a fit finds them; drop every reference into the model."""
        self._leave(trainer)
        self.session.release()

    def _leave(self, trainer: Trainer) -> None:
        self._any_width.detach()
        if self._fitting:
            self._limits.restore(trainer)
        self._fitting = False
