"""Targets: what must be kept, what a network costs, and which channels go so that the target is met."""

from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target, TargetError, parse_target

__all__ = ["Chooser", "Target", "TargetError", "parse_target"]
