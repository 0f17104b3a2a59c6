"""The callbacks that press, watch and cut during a fit."""

from physprune_pl.callbacks.channel_tracker import ChannelTracker
from physprune_pl.callbacks.checkpoint_io import AtomicCheckpointIO
from physprune_pl.callbacks.cut.reloading import pruned_module, pruned_module_of_cli
from physprune_pl.callbacks.distillation import Distillation
from physprune_pl.callbacks.factory import PhysicsPruning, physics_pruning
from physprune_pl.callbacks.force_regularization import ForceRegularization
from physprune_pl.callbacks.prune_and_finetune import PruneAndFinetune
from physprune_pl.callbacks.pruned_checkpoints import PrunedCheckpoints
from physprune_pl.callbacks.random_states import RandomStates
from physprune_pl.callbacks.report_writer import ReportWriter

__all__ = [
    "AtomicCheckpointIO",
    "ChannelTracker",
    "Distillation",
    "ForceRegularization",
    "PhysicsPruning",
    "PruneAndFinetune",
    "PrunedCheckpoints",
    "RandomStates",
    "ReportWriter",
    "physics_pruning",
    "pruned_module",
    "pruned_module_of_cli",
]
