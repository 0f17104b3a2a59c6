"""LightningCLI with the arguments of :func:`~physprune_pl.physics_pruning` on its command line."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from physprune_pl.callbacks.factory import PhysicsPruning, physics_pruning


class PruningCLI(LightningCLI):
    """LightningCLI whose fits prune: ``python main.py fit --pruning.force=gravity --pruning.target.macs=0.5``.

    Every argument of :func:`~physprune_pl.physics_pruning` is there as ``--pruning.NAME``, and a configuration file may
    have a section ``pruning:``. The callbacks of ``trainer.callbacks`` stay. It takes what LightningCLI takes, and
    needs ``jsonargparse[signatures]``, the extra ``cli``.

    Attributes:
        pruning: the callbacks of the fit, with its report once it is over.
    """

    pruning: PhysicsPruning

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the section ``pruning``; a subclass that adds arguments of its own calls this too."""
        parser.add_function_arguments(physics_pruning, "pruning")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the trainer with the callbacks of the fit, after those that the configuration names."""
        settings = self.config_init[self.subcommand] if self.subcommand else self.config_init
        self.pruning = physics_pruning(**settings["pruning"])
        given = kwargs.pop("callbacks", settings.get("trainer", {}).get("callbacks")) or []
        callbacks: list[Callback] = list(given) if isinstance(given, list) else [given]
        return super().instantiate_trainer(**kwargs, callbacks=[*callbacks, self.pruning])
