"""Where a run that was interrupted goes on."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn


def checkpoint_to_resume(ckpt_path: str | None, folder: Path) -> str | None:
    """Return the checkpoint that ``ckpt_path`` names, None for a fresh start.

    ``"last"`` is the last one in the folder of the run; where there is none yet, such as after a crash in the first
    epoch, the run starts from the beginning with a warning.

    Raises:
        FileNotFoundError: when a path is given and no file is there.
    """
    if ckpt_path is None:
        return None
    path = folder / "checkpoints" / "last.ckpt" if ckpt_path == "last" else Path(ckpt_path)
    if path.is_file():
        return str(path)
    if ckpt_path != "last":
        raise FileNotFoundError(f"ckpt_path: expected a checkpoint, got {ckpt_path}, where there is no file")
    rank_zero_warn(
        f"ckpt_path=last: no file {path}, so the run starts from the beginning; to resume, hydra.run.dir must be the "
        f"folder of the old run"
    )
    return None
