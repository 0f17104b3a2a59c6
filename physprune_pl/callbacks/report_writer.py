"""Leaves the report of a fit in the folder of its logs."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from physprune_pl.callbacks.prune_and_finetune import PruneAndFinetune
from physprune_pl.reports.page import write_report
from physprune_pl.tools.files import put_aside

log = logging.getLogger(__name__)

FILES = ("report.json", "report.md", "report.html")


class ReportWriter(Callback):
    """Writes the report of a fit as ``report.json``, ``report.md`` and the page ``report.html``, each in one piece.

    The page shows what lies beside it: the history of a :class:`ChannelTracker`, the ``metrics.csv`` of Lightning's
    CSVLogger. It is drawn by matplotlib; where that is missing the log says so and the other two files are there.

    Args:
        cutter: the callback that has the report at the end of the fit.
        folder: where to; None means the logger's folder, else the trainer's, where the report of an earlier fit becomes
            ``report-1.json`` and so on unless this fit resumes it.
    """

    def __init__(self, cutter: PruneAndFinetune, folder: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        self.cutter = cutter
        self.folder = None if folder is None else Path(folder)
        self._fresh = True

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Find the folder, which all processes agree on, while they still can."""
        self._folder = self.folder or Path(trainer.log_dir or trainer.default_root_dir)
        self._fresh = trainer.ckpt_path is None

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Write at the end of a fit that cut; the report is made shortly before."""
        dry = trainer.fast_dev_run  # type: ignore[attr-defined]
        if stage != "fit" or self.cutter.report is None or dry or not trainer.is_global_zero:
            return
        if self._fresh and self.folder is None:
            for name in FILES:
                put_aside(self._folder / name)
        self.cutter.report.save(self._folder)
        for logger in trainer.loggers:
            logger.save()  # what is still in memory belongs on the page
        self._draw()

    def _draw(self) -> None:
        try:
            path = write_report(self._folder)
        # Whatever a picture fails for, for want of matplotlib most of all, must not cost the user the fit.
        except Exception as error:
            log.warning(
                "no report.html: %s; once that is mended: python -m physprune_pl report %s", error, self._folder
            )
        else:
            log.info("report in %s", path)
