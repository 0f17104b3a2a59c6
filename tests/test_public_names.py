"""The names that users, configurations and the README import."""

from importlib.metadata import version

import pytest

import physprune_pl

NAMES = (
    *("physics_pruning", "ForceRegularization", "ChannelTracker", "PruneAndFinetune", "trace_groups", "plan_pruning"),
    *("apply_plan", "load_pruned", "PruningPlan", "PruningReport", "Channels", "ForceLaw", "ChannelGroup"),
)


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_public_and_documented(name):
    assert name in physprune_pl.__all__
    assert getattr(physprune_pl, name).__doc__


def test_nothing_else_is_promised():
    assert set(physprune_pl.__all__) == {*NAMES, "__version__"}


def test_the_version_is_that_of_the_distribution():
    assert physprune_pl.__version__ == version("physprune_pl")
