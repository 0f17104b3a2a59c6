"""The callbacks of a whole run, press, watch, cut and fine-tune, from one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from lightning.pytorch import Callback
from torch import nn

from physprune_pl.callbacks.channel_tracker import ChannelTracker
from physprune_pl.callbacks.distillation import Distillation
from physprune_pl.callbacks.force_regularization import ForceRegularization
from physprune_pl.callbacks.prune_and_finetune import PruneAndFinetune
from physprune_pl.callbacks.random_states import RandomStates
from physprune_pl.callbacks.report_writer import ReportWriter
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.trainer.composite import CompositeCallback
from physprune_pl.distances import Distance, Pivot
from physprune_pl.forces import Force
from physprune_pl.latency import Stopwatch
from physprune_pl.networks.example import ExampleInput
from physprune_pl.networks.ignored import Ignore
from physprune_pl.removals import Removal
from physprune_pl.reports.baseline import Baseline
from physprune_pl.reports.report import PruningReport
from physprune_pl.schedules import Schedule
from physprune_pl.selections import Selection, resolve_selection
from physprune_pl.strengths import Strength
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.targets.target import Target, parse_target
from physprune_pl.targets.widths import RoundTo, SameWidth, Shares, Widths


class PhysicsPruning(CompositeCallback):
    """The callbacks of :func:`physics_pruning`: one callback for a Trainer, and a list of them for everybody else.

    ``Trainer(callbacks=pruning)``, ``[pruning, other]`` and ``[*pruning, other]`` are all the same fit. A Trainer that
    was given the object itself has the callbacks in its list from the start of the fit on.
    """

    def __init__(self, members: Sequence[Callback], cutter: PruneAndFinetune) -> None:
        super().__init__(members)
        self.cutter = cutter

    @property
    def report(self) -> PruningReport:
        """The report of the fit.

        Raises:
            RuntimeError: before the end of a fit.
        """
        if self.cutter.report is None:
            raise RuntimeError("report: there is none before the end of trainer.fit")
        return self.cutter.report

    @property
    def plan(self) -> PruningPlan:
        """What was cut.

        Raises:
            RuntimeError: before the cut.
        """
        if self.cutter.plan is None:
            raise RuntimeError("plan: there is none before the cut")
        return self.cutter.plan

    def preview(self, model: nn.Module, example_input: ExampleInput | None = None) -> str:
        """Say, before an expensive fit, what it would do: groups, costs, whether the target is in reach, phases.

        Raises:
            ValueError: there is no example input, or nothing can be pruned.
        """
        return self.cutter.preview(model, example_input)


def physics_pruning(
    force: str | Force | None = "exponential",
    coefficient: float | Literal["auto"] = "auto",
    *,
    target: Mapping[str, float] | Target,
    select: str | Selection = "strength",
    finetune_epochs: int = 20,
    finetune_lr: float | None = None,
    monitor: str | None = None,
    mode: Literal["min", "max"] | None = None,
    example_input: ExampleInput | None = None,
    ignore: Ignore = (),
    round_to: RoundTo = None,
    schedule: str | Schedule | Callable[[float], float] | None = None,
    strength: str | Strength | None = None,
    distance: str | Distance | None = None,
    pivot: Pivot = 0,
    module: str | None = None,
    min_share: Shares | None = None,
    max_share: Shares | None = None,
    teacher: bool | nn.Module | None = False,
    stopwatch: Stopwatch | None = None,
    baseline: Baseline | None = None,
    removal: str | Removal = "once",
    log_groups: bool = True,
    same_width: SameWidth = (),
) -> PhysicsPruning:
    """Return what prunes a network within one fit, to be given to a Trainer as one callback or as a list of them.

    The fit trains ``max_epochs`` epochs under a penalty, removes channels until ``target`` is met, and fine-tunes
    ``finetune_epochs`` more epochs; then there is a ``report``.

    A trainer's ``max_steps`` ends the first of these phases as ``max_epochs`` does, after exactly so many optimizer
    steps, and fine-tuning comes on top in whole epochs. Its ``max_time`` is for both: the first phase may use its share
    of the epochs, such as 60 / (60 + 20), and fine-tuning the rest.

    Args:
        force: name of a force law, a law or a function of channels; None adds no penalty and only prunes.
        coefficient: ``"auto"``: adapted to each group until the target is met (steering); or a number.
        target: what to keep: ``{"macs": 0.4}``, ``{"params": 0.3}``, ``{"latency": 0.5}``: of the time of one call
            on this device; or ``{"threshold": 1e-3}``: cut what is under that share of its group's largest importance.
        select: the set to cut: ``"strength"``, the least important channels; ``"law"``, the ones that the law
            penalises most (with ``"auto"`` only); ``"taylor"``, the ones that the loss misses least, by its gradients;
            or an object such as :class:`ByTaylor(horizon=300) <physprune_pl.selections.ByTaylor>`.
        finetune_epochs: epochs after the cut, in the same fit.
        finetune_lr: learning rate of fine-tuning; None: a tenth of each parameter group's initial one.
        monitor: metric that chooses the weights to keep; None: the one of the first ModelCheckpoint or EarlyStopping,
            else the last weights are kept.
        mode: ``"min"`` or ``"max"``, with ``monitor``.
        example_input: input to trace the network with; None: what a training step gives to it, else
            ``example_input_array``.
        ignore: name, regular expression or object of modules not pruned, or several.
        round_to: channels kept are a multiple of this; ``"auto"``: of what this device likes, halved for groups that
            cannot follow.
        schedule: factor of the coefficient over the sparsify phase, see :class:`ForceRegularization`.
        strength: importance of a channel, a norm; None means ``L2(scope="group")``.
        distance: distance of a channel from the pivot; None means the one that the law is meant for.
        pivot: channel to measure from: an index, ``"first"``, ``"middle"`` or ``"strongest"``.
        module: name of the submodule to prune, where it is not the whole network.
        min_share: name or regular expression of modules -> share of the channels that their groups keep at least,
            such as ``{"layer4.*": 0.5}``.
        max_share: likewise, at most; they are cut to it in any case.
        teacher: fine-tune with a teacher, see :class:`~physprune_pl.callbacks.Distillation`: True for the network as
            it was before the cut, at its best, or your own network.
        stopwatch: what times the network for a latency target and ``round_to="auto"``, see
            :class:`~physprune_pl.latency.Stopwatch`; None: calls of one sample, times kept in the user's cache folder.
        baseline: what the dense network reaches when it is trained on its own, to be shown in the report: the value of
            the metric that the report names, or the path of a ``report.json`` (or of its folder) with its dense metric.
        removal: ``"once"``: all channels are removed at the end of the first phase; ``"gradual"``: in waves within its
            first part, so that most epochs are cheap; or an object such as
            :class:`Gradual(waves=3) <physprune_pl.removals.Gradual>`.
        log_groups: whether loggers get the scalars of every group, see :class:`ChannelTracker`; a network has dozens.
        same_width: names or regular expressions of modules that keep one width in all layers, or ``"auto"``, see
            :func:`~physprune_pl.plan_pruning`.

    Returns:
        One callback that holds :class:`ForceRegularization` (not without a force), :class:`ChannelTracker`,
        :class:`~physprune_pl.callbacks.RandomStates`, with a teacher :class:`~physprune_pl.callbacks.Distillation`,
        :class:`~physprune_pl.callbacks.ReportWriter`, and :class:`PruneAndFinetune`, the last, whatever is appended.

    Raises:
        ValueError: for an argument outside its range, an unknown name included.
        TypeError: for an argument of another kind.

    >>> [type(callback).__name__ for callback in physics_pruning("gravity", target={"macs": 0.4})]
    ['ForceRegularization', 'ChannelTracker', 'RandomStates', 'ReportWriter', 'PruneAndFinetune']
    """
    by = resolve_selection(select)
    if by.reads == "law" and (force is None or coefficient != "auto"):
        # Only steering chooses by the law; a cut after a fixed pressure ranks strengths.
        raise ValueError(f'select: "law" needs a force and coefficient="auto", got {force!r} and {coefficient!r}')
    aim = parse_target(target)
    widths = Widths(round_to=round_to, min_share=min_share or {}, max_share=max_share or {}, same_width=same_width)
    session = PruningSession(
        *(module, example_input, ignore, strength), target=aim, widths=widths, select=by, stopwatch=stopwatch
    )
    callbacks: list[Callback] = []
    if force is not None:
        callbacks.append(
            ForceRegularization(force, coefficient, schedule, distance=distance, pivot=pivot, session=session)
        )
    ends = (finetune_epochs, finetune_lr, monitor, mode)
    cut = PruneAndFinetune(aim, *ends, round_to, session, min_share, max_share, baseline=baseline, removal=removal)
    callbacks += [ChannelTracker(session=session, log_groups=log_groups), RandomStates()]
    if teacher is not None and teacher is not False:
        callbacks.append(Distillation(session, None if teacher is True else teacher))
    return PhysicsPruning([*callbacks, ReportWriter(cut), cut], cut)
