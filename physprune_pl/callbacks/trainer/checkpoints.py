"""Checkpoints on their way: the one that a trainer loads at the moment, and all that it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.pytorch import LightningModule, Trainer

from physprune_pl.callbacks.trainer.lightning_classes import is_a

Complete = Callable[[dict[str, Any]], None]


def loaded_checkpoint(module: LightningModule) -> Mapping[str, Any]:
    """Return the checkpoint that the trainer of a module loads at the moment; empty if it loads none."""
    # A copy of the module has no trainer.
    trainer: Any = module._trainer
    return {} if trainer is None else trainer._checkpoint_connector._loaded_checkpoint or {}


def complete_files(trainer: Trainer, key: str, complete: Complete) -> None:
    """Let a function add to every checkpoint that a trainer writes from now on, those of weights only included.

    Args:
        trainer: the trainer.
        key: of the function; a later one takes its place.
        complete: changes a checkpoint in place.
    """
    strategy = trainer.strategy
    if is_a(strategy, "XLAStrategy", "SingleDeviceXLAStrategy"):  # they accept plugins of their own only
        return
    plugin = strategy.checkpoint_io
    if not isinstance(plugin, CompletedFiles):
        strategy.checkpoint_io = plugin = CompletedFiles(plugin)
    plugin.parts[key] = complete


class CompletedFiles(CheckpointIO):
    """Writes and reads checkpoints as another plugin does, and adds to those that it writes.

    Attributes:
        parts: functions that add something, by key.
    """

    def __init__(self, plugin: CheckpointIO) -> None:
        self._plugin = plugin
        self.parts: dict[str, Complete] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Add to a checkpoint, and write it."""
        for complete in self.parts.values():
            complete(checkpoint)
        self._plugin.save_checkpoint(checkpoint, *args, **kwargs)

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint."""
        return self._plugin.load_checkpoint(*args, **kwargs)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint."""
        self._plugin.remove_checkpoint(path)

    def teardown(self) -> None:
        """Tear the other plugin down."""
        self._plugin.teardown()
