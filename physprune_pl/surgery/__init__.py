"""Surgery: plans as plain data, and networks cut by them in place."""

from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.loading import load_pruned
from physprune_pl.surgery.plan import PruningPlan

__all__ = ["PruningPlan", "apply_plan", "load_pruned"]
