"""Where one fit leaves its files: a folder of its own, so that they stay together and nothing is overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info

from physprune_pl.reports.page.finished_run import FIT_FOLDER
from physprune_pl.tools.files import new_folder, newest_folder


class FitFolder:
    """The folder ``pruning`` in the folder of the logs, else in the trainer's; a later fit there has ``pruning-1``.

    A fit that is resumed goes on in the newest one. The folder is made with the first file, so that a fit that fails
    at its start leaves none. A trainer with neither a logger nor a ``default_root_dir`` was asked for no files: there
    is no folder then, and the log says so.
    """

    def __init__(self) -> None:
        self._parent: Path | None = None
        self._resumed = False
        self._found = False
        self._path: Path | None = None

    def find(self, trainer: Trainer) -> None:
        """Look where the fit may write; to be called by all processes alike, and as often as one likes."""
        if self._found:
            return
        self._found, self._resumed = True, trainer.ckpt_path is not None
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._parent = _parent(trainer)

    def make(self) -> Path | None:
        """Return the folder, made now unless it is there; None where the fit is to write nothing.

        For one process alone, the one that writes.
        """
        if self._path is None and self._parent is not None:
            found = newest_folder(self._parent, FIT_FOLDER) if self._resumed else None
            self._path = found or new_folder(self._parent, FIT_FOLDER)
        return self._path


def _parent(trainer: Trainer) -> Path | None:
    logs = trainer.log_dir  # all processes agree on it here, and speak to one another for that
    if trainer.loggers:
        return Path(logs or trainer.default_root_dir)
    # A trainer that was given no folder names the one that the program runs in, in full.
    if trainer.default_root_dir == os.getcwd():
        rank_zero_info(
            "No files of this fit are written, as the trainer has neither a logger nor a default_root_dir; its report "
            'is in memory, report.save(FOLDER) writes it; Trainer(default_root_dir=".") asks for files here.'
        )
        return None
    return Path(trainer.default_root_dir)
