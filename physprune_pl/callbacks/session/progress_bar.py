"""What the progress bar tells of a fit that prunes: phase, coefficient, who has arrived, and the cost so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch import LightningModule, Trainer

from physprune_pl.callbacks.trainer.injection import logs_now
from physprune_pl.callbacks.trainer.internals import forget_in_progress_bar, show_in_progress_bar
from physprune_pl.reports.concentration import near_zero

if TYPE_CHECKING:
    from physprune_pl.callbacks.session.session import PruningSession

Signals = dict[str, float]

LOGGED = {"arrived": "physprune/arrived", "macs": "physprune/macs_kept"}
"""Signals that the loggers get as well, and their names there."""


def show_progress(trainer: Trainer, pl_module: LightningModule, session: PruningSession) -> None:
    """Put :func:`signals` into the progress bar, once in ``log_every_n_steps`` steps and at the start of an epoch.

    To be called in ``on_train_batch_start``.
    """
    if not _due(trainer, pl_module):
        return
    found = signals(trainer, session)
    show_in_progress_bar(trainer, found)
    # Lightning need not look for the size of a batch of whatever kind.
    pl_module.log_dict({LOGGED[name]: value for name, value in found.items() if name in LOGGED}, batch_size=1)


def forget_progress(trainer: Trainer) -> None:
    """Take the signals of the sparsify phase off the progress bar; to be called between two epochs."""
    forget_in_progress_bar(trainer, ("sparsify", "coefficient", "arrived"))


def signals(trainer: Trainer, session: PruningSession) -> Signals:
    """Return what there is to tell at the moment, as numbers, which are all that a progress bar takes.

    Returns:
        - the name of the phase, ``sparsify`` or ``finetune``: the share of it that is over, where its length is known;
        - ``coefficient``: pressure of the penalty, the mean over the groups where it is steered;
        - ``arrived``: share of the channels to be cut that are at zero, where steering has chosen them;
        - ``macs``: share of the dense network's MACs, now that it is cut; before, what would be left without the
          channels under 1 % of the strongest of their group. It needs a target.
    """
    found: Signals = {session.phase: session.progress(trainer)} if session.length.has_an_end else {}
    if session.phase == "finetune":
        return found | _after_the_cut(session)
    if session.mean_coefficient is not None:
        found["coefficient"] = session.mean_coefficient(trainer)
    return found | _of_strengths(session) if session.ready else found


def _after_the_cut(session: PruningSession) -> Signals:
    dense, pruned = session.plan.macs if session.plan is not None else (0, 0)
    return {"macs": pruned / dense} if dense else {}


def _of_strengths(session: PruningSession) -> Signals:
    with session.trainable():
        strengths = session.penalty.strengths().cpu()
    found: Signals = {}
    if session.steering is not None:
        found["arrived"] = session.steering.arrived_share(strengths)
    if session.chooser is not None and (dense := session.chooser.cost_model.dense.macs):
        parts = [strengths[segment] for segment in session.penalty.segments]
        found["macs"] = session.chooser.cost_model([near_zero(part) for part in parts]).macs / dense
    return found


def _due(trainer: Any, pl_module: LightningModule) -> bool:
    batch = trainer.fit_loop.batch_idx
    if trainer.log_every_n_steps == 0 or batch % trainer.accumulate_grad_batches:
        return False
    return batch == 0 or logs_now(trainer, pl_module)
