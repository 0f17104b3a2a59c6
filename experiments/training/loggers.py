"""Loggers that keep what an earlier run has left in the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from physprune_pl.tools.files import put_aside


class KeepingCSVLogger(CSVLogger):
    """Lightning's CSV logger, which deletes the ``metrics.csv`` it finds; here it becomes ``metrics-1.csv``, and so on.

    A resumed run writes into the folder of the old one: the rows until the interruption are in the older files.
    """

    @property
    def experiment(self) -> Any:
        """The writer of ``metrics.csv``; the first use puts an existing file aside, on the process that writes."""
        if self._experiment is None:
            rank_zero_only(put_aside)(Path(self.log_dir) / "metrics.csv")
        return super().experiment
