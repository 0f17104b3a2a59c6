"""Structured pruning for Lightning: force laws from physics press whole channels to zero, and surgery removes them."""

from importlib.metadata import version

from physprune_pl.callbacks import ChannelTracker, ForceRegularization, PruneAndFinetune, physics_pruning
from physprune_pl.channels import Channels
from physprune_pl.forces import ForceLaw
from physprune_pl.planning import plan_pruning
from physprune_pl.reports.report import PruningReport
from physprune_pl.structure import ChannelGroup
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.loading import load_pruned
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.tracing.tracer import trace_groups

__version__ = version("physprune_pl")

__all__ = [
    "ChannelGroup",
    "ChannelTracker",
    "Channels",
    "ForceLaw",
    "ForceRegularization",
    "PruneAndFinetune",
    "PruningPlan",
    "PruningReport",
    "__version__",
    "apply_plan",
    "load_pruned",
    "physics_pruning",
    "plan_pruning",
    "trace_groups",
]
