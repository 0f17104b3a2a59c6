"""The bench of the force: rounds, sentences about goals, and forces that really press."""

import pytest
import torch
from torch import nn

from experiments.speed import alone, run
from experiments.speed.pressed import GENTLE, Force, Network, Training
from experiments.speed.timing import interleaved, medians
from physprune_pl.forces import FORCES


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 60), nn.ReLU(), nn.Linear(60, 10))


@pytest.fixture
def training() -> Training:
    return Training(Network(network, 8, 2, None))


def test_every_job_runs_once_a_round_and_the_first_round_is_not_counted() -> None:
    ran, prepared = [], []
    jobs = {name: lambda name=name: ran.append(name) for name in "abc"}
    times = interleaved(jobs, 0.0, fewest=4, before=lambda: prepared.append(1))
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys("abc", 4)
    rounds = [ran[start : start + 3] for start in range(0, len(ran), 3)]
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)
    assert len({tuple(names) for names in rounds}) > 1
    assert len(prepared) == len(ran) == 15
    assert medians({"a": [3.0, 1.0, 2.0]}) == {"a": 2.0}


@pytest.mark.parametrize("law", FORCES)
def test_a_force_adds_the_gradient_of_its_law(training: Training, law: str) -> None:
    Force(training, law)()
    strengths = training.penalty.strengths()
    found = [parameter.grad.clone() for parameter in training.parameters if parameter.grad is not None]
    alone.drop(training)
    training.penalty.add_gradient(GENTLE * Force(training, law).law(strengths, check=True))
    expected = [parameter.grad for parameter in training.parameters if parameter.grad is not None]
    torch.testing.assert_close(found, expected)
    assert any(gradient.any() for gradient in found)


def test_a_step_tells_the_share_of_the_force(training: Training) -> None:
    force, whole = training.step(Force(training, "uniform", steered=True))
    assert 0 <= force <= whole


def found(force: float, ours: float) -> dict[str, dict[str, object]]:
    times = {
        "without": 1000.0,
        "copy": 2.0,
        "adding": 0.5,
        "rounds": 3,
        "uniform": {"force": force, "added": 1.0, "step": 1001.0},
    }
    others = {"copy": 2.0, "loop": 10.0, "loop, added": 10.0, "torch-pruning": 100.0}
    return {"steps": times, "alone": {**others, "ours, exponential": ours, "ours, exponential, added": ours}}


@pytest.mark.parametrize(
    ("force", "ours", "verdicts"), [(8.0, 10.0, ["met"] * 4), (11.0, 25.0, ["missed", "missed", "missed", "missed"])]
)
def test_goals_are_said_with_the_figure_beside(force: float, ours: float, verdicts: list[str]) -> None:
    said = list(run.goals("resnet56", found(force, ours)))
    assert ["met" if ": met" in sentence else "missed" for sentence in said] == verdicts
    assert "within 9.0 ms" in said[0]
    assert f"{force + 0.5:.1f}" in said[0]
