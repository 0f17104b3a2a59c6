"""The comparisons of the experiments: fair arms, and results where they belong."""

import importlib
from pathlib import Path

import pytest

from experiments.assembly import build_pruning, composed
from experiments.comparison import Comparison

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
NAMES = ("digits", "mnist", "cifar10", "sst2")


def comparison(name: str) -> Comparison:
    found: Comparison = importlib.import_module(f"experiments.{name}.run").COMPARISON
    return found


@pytest.mark.parametrize("name", NAMES)
def test_dense_none_and_uniform_are_always_among_the_arms(name: str) -> None:
    arms = comparison(name).arms
    assert arms[0].name == "dense"
    assert {"none", "uniform"} <= {arm.name for arm in arms}
    assert (EXPERIMENTS / comparison(name).name / "README.md").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_every_arm_trains_as_many_epochs_toward_the_same_target(name: str) -> None:
    configs = [composed([*arm.overrides, "paths.output=out"]) for arm in comparison(name).arms]
    assert len({config.trainer.max_epochs + config.finetune.epochs for config in configs}) == 1
    assert build_pruning(configs[0])[1] is None
    assert len({str(config.target) for config in configs[1:]}) == 1
