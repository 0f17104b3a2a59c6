"""Writes checkpoints in one piece, so that a crash in the middle of one leaves the one before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from physprune_pl.tools.files import replaced


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and puts it in its place once it is on the disk.

    Lightning writes a local checkpoint into the folder of temporary files and moves it from there. Where that folder
    is on another file system, moving is copying, and a crash meanwhile leaves half a file in place of the last
    checkpoint. Give it to a trainer as ``Trainer(plugins=AtomicCheckpointIO())``. Addresses such as ``s3://...`` are
    written as Lightning does.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            TypeError: ``storage_options`` are given, which have no meaning here.
        """
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with replaced(Path(path)) as part:
            torch.save(checkpoint, part)
