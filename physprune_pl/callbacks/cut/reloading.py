"""What checkpoints of a cut network carry, and how ``load_from_checkpoint`` finds its shapes in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lightning.pytorch import LightningModule

from physprune_pl.callbacks.cut.shapes import adopt, records_in
from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.trainer.instantiators import name_instantiator, trust_instantiators

# Names that are in files.
_PATH = "physprune_pl.callbacks.pruned_module"
_PATH_OF_CLI = "physprune_pl.callbacks.pruned_module_of_cli"

trust_instantiators(_PATH, _PATH_OF_CLI)


def pruned_module(kind: type[LightningModule], arguments: dict[str, Any]) -> LightningModule:
    """Build a module that takes the shapes in the checkpoint which ``load_from_checkpoint`` is about to load.

    Lightning calls this where a checkpoint of a cut network says so.
    """
    return _taking_shapes(kind(**arguments))


def pruned_module_of_cli(kind: type[LightningModule], arguments: dict[str, Any]) -> LightningModule:
    """Build one from the arguments that LightningCLI saved."""
    from lightning.pytorch.cli import instantiate_module  # needs jsonargparse, which only those have who use it

    return _taking_shapes(instantiate_module(kind, arguments))


def complete(checkpoint: dict[str, Any], key: str, record: Record, kind: type) -> None:
    """Add to a checkpoint what loads a cut network again; nothing before the cut.

    Args:
        checkpoint: changed in place.
        key: of the record among the states of the callbacks, of which a checkpoint of weights only has none.
        record: of the fit.
        kind: class of the module.
    """
    if record.plan is not None:
        complete_with(checkpoint, {key: replace(record, best=None).to_dict()}, kind)


def complete_with(checkpoint: dict[str, Any], records: Mapping[str, Any], kind: type) -> None:
    """Add the same, given records as checkpoints hold them, by their keys; those that are there already stay."""
    states = checkpoint.setdefault("callbacks", {})
    for key, state in records.items():
        states.setdefault(key, state)
    if records:
        name_instantiator(checkpoint, kind, _PATH, _PATH_OF_CLI)


def _taking_shapes(module: LightningModule) -> LightningModule:
    own = module.on_load_checkpoint

    def once(checkpoint: dict[str, Any]) -> None:
        del module.on_load_checkpoint
        # It may build parts of the module again, or give the weights other names.
        own(checkpoint)
        adopt(module, checkpoint["state_dict"], records_in(checkpoint))

    module.on_load_checkpoint = once  # type: ignore[method-assign]
    return module
