"""Leaves the report of a fit in the folder of its logs."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from physprune_pl.callbacks.prune_and_finetune import PruneAndFinetune
from physprune_pl.reports.page import write_report

log = logging.getLogger(__name__)


class ReportWriter(Callback):
    """Writes the report of a fit as ``report.json``, ``report.md`` and the page ``report.html``, each in one piece.

    The page shows what lies beside it: the history of a :class:`ChannelTracker`, the ``metrics.csv`` of Lightning's
    CSVLogger. It is drawn by matplotlib; where that is missing the log says so and the other two files are there.

    Args:
        cutter: the callback that has the report at the end of the fit.
        folder: where to; None means the folder of the fit, see
            :class:`~physprune_pl.callbacks.trainer.fit_folder.FitFolder`.
    """

    def __init__(self, cutter: PruneAndFinetune, folder: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        self.cutter = cutter
        self.folder = None if folder is None else Path(folder)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Find the folder, which all processes agree on, while they still can."""
        if self.folder is None:
            self.cutter.session.folder.find(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Write at the end of a fit that cut; the report is made shortly before."""
        dry = trainer.fast_dev_run  # type: ignore[attr-defined]
        if stage != "fit" or self.cutter.report is None or dry or not trainer.is_global_zero:
            return
        folder = self.folder or self.cutter.session.folder.make()
        if folder is None:
            return
        self.cutter.report.save(folder)
        for logger in trainer.loggers:
            logger.save()  # what is still in memory belongs on the page
        _draw(folder)


def _draw(folder: Path) -> None:
    try:
        path = write_report(folder)
    # Whatever a picture fails for, for want of matplotlib most of all, must not cost the user the fit.
    except Exception as error:
        log.warning("no report.html: %s; once that is mended: python -m physprune_pl report %s", error, folder)
    else:
        rank_zero_info("Report of the fit: %s", path)
