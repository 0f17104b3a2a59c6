"""The last removal of a fit: what is left is what the report is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from physprune_pl.callbacks.cut.aim import dead_groups
from physprune_pl.callbacks.cut.cutting import remove
from physprune_pl.callbacks.cut.network_costs import figures
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.networks.isolation import twin
from physprune_pl.planning import plan_removal
from physprune_pl.surgery.regrow import dense_twin
from physprune_pl.targets.chooser import Chooser


def cut_for_good(
    trainer: Trainer, pl_module: LightningModule, session: PruningSession, chooser: Chooser, removed: Sequence[Tensor]
) -> None:
    """Remove what is left to be removed, if anything is, and measure the network beside the dense one.

    Plan and figures are in the session's record then.

    Raises:
        RuntimeError: see :func:`~physprune_pl.callbacks.cut.cutting.remove`.
    """
    record = session.record
    record.dead_groups = dead_groups(session)
    dense = dense_twin(twin(session.model), session.plan)
    remove(trainer, pl_module, session, chooser, removed)
    record.finish("cut")
    assert record.plan is not None
    plan = replace(record.plan, latency=plan_removal(chooser, removed).latency)
    record.plan, record.latency_ms, record.file_bytes = figures(trainer, session, plan, dense)
    record.finish("timing")
