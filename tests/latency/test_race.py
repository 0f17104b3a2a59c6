"""The one clock: turns, medians, and how networks are run while they are timed."""

from __future__ import annotations

import itertools
import time

import pytest
import torch
from torch import Tensor, nn

from physprune_pl.latency.race import compared, measure_latency, race, race_networks, turns, without_remnants
from physprune_pl.networks.example import Example


def busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_calls_take_turns_and_are_compared_within_a_round():
    ran: list[str] = []
    found = turns({name: lambda name=name: ran.append(name) for name in ("a", "b")}, rounds=3, round_seconds=0.0)
    assert [len(times) for times in found.values()] == [3, 3]
    assert ran == ["a", "b", *["a", "b"] * 3]  # the first call of each warms up


def test_a_round_is_filled_with_calls():
    ran: list[int] = []
    turns({"a": lambda: (ran.append(1), busy(1e-3))}, rounds=2, round_seconds=5e-3)
    assert 2 + 2 * 3 <= len(ran) <= 2 + 2 * 5


def test_the_times_of_a_race_have_the_ratio_of_the_work():
    found = race({"slow": lambda: busy(4e-3), "fast": lambda: busy(1e-3)}, rounds=3, round_seconds=0.0)
    assert found["slow"] / found["fast"] == pytest.approx(4.0, rel=0.4)


def test_a_slow_round_moves_no_ratio():
    times = {"dense": [4.0, 4.0, 40.0, 4.0, 44.0], "pruned": [2.0, 2.0, 20.0, 2.0, 22.0]}
    assert compared(times) == {"dense": 4.0, "pruned": 2.0}


def test_a_race_needs_rounds():
    with pytest.raises(ValueError, match="rounds: expected at least 1, got 0"):
        race({"a": lambda: None}, rounds=0)


def test_generators_stand_where_they_stood():
    state = torch.get_rng_state()
    race_networks({"noisy": Noisy()}, Example.of(torch.zeros(2, 3)), rounds=1, round_seconds=0.0)
    assert torch.equal(torch.get_rng_state(), state)


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


def test_latency_is_reported_for_every_batch_size_and_model():
    models = {"dense": nn.Sequential(nn.Linear(64, 512), nn.Linear(512, 64)), "pruned": nn.Linear(64, 64)}
    models["dense"].train()
    times = measure_latency(models, torch.rand(4, 64), batch_sizes=(1, 64), rounds=3, round_seconds=1e-3)
    assert list(times) == ["batch_1", "batch_64"]
    assert all(list(entry) == ["dense", "pruned"] for entry in times.values())
    assert all(milliseconds > 0 for entry in times.values() for milliseconds in entry.values())
    assert models["dense"].training


class Recorder(nn.Module):
    def __init__(self, name: str, log: list[tuple[str, int, bool, bool]]) -> None:
        super().__init__()
        self.name, self.log = name, log

    def forward(self, x: Tensor) -> Tensor:
        self.log.append((self.name, len(x), self.training, torch.is_grad_enabled()))
        return x


def test_latency_takes_turns_in_eval_mode_without_gradients():
    log: list[tuple[str, int, bool, bool]] = []
    models = {"a": Recorder("a", log), "b": Recorder("b", log)}
    measure_latency(models, torch.rand(1, 2), batch_sizes=(3,), rounds=2, round_seconds=0.0)
    assert {entry[1:] for entry in log} == {(3, False, False)}
    runs = [name for name, _ in itertools.groupby(log, key=lambda entry: entry[0])]
    assert runs[-4:] == ["a", "b", "a", "b"]


@pytest.mark.parametrize("options", [{"rounds": 0}, {"batch_sizes": (1, 0)}])
def test_latency_needs_rounds_and_samples(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}: expected at least 1, got 0"):
        measure_latency({"dense": nn.Linear(2, 2)}, torch.rand(1, 2), **options)


def test_traces_of_pressing_are_zero_in_the_copy_that_is_timed() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    with torch.no_grad():
        model[0].weight[0] = -1e-20
        model[1].running_var[1] = 1e-40
        model[1].bias.fill_(0.5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = without_remnants(model).state_dict()
    assert not found["0.weight"][0].any()
    assert found["1.running_var"].tolist() == [1.0, 0.0, 1.0]
    for name in ("0.bias", "1.weight", "1.bias", "1.running_mean", "1.num_batches_tracked"):
        assert torch.equal(found[name], before[name])
    assert torch.equal(found["0.weight"][1:], before["0.weight"][1:])
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
