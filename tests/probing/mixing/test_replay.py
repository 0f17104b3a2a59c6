"""What mixing calls put out is computed in the first run only; what follows gets it back, clean and of its own."""

import pytest
import torch
from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import untouched
from physprune_pl.probing.mixing.replay import Replay
from physprune_pl.probing.runner import Runner
from physprune_pl.probing.watching.tainting import ModulePath


def never() -> torch.Tensor:
    raise AssertionError("computed again")


def key(name: str, *shape: int) -> tuple[str, torch.Size]:
    return name, torch.Size(shape)


def test_the_first_output_comes_back_however_it_was_changed_in_place():
    replay = Replay()
    replay.output(key("a", 2), lambda: torch.ones(3)).zero_()
    for _ in range(2):
        replay.start_again()
        assert replay.output(key("a", 2), never).add_(1).tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("other", [key("b", 2), key("a", 3)])
def test_another_call_or_another_shape_is_computed(other):
    replay = Replay()
    replay.output(key("a", 2), lambda: torch.ones(1))
    replay.start_again()
    assert replay.output(other, lambda: torch.full((1,), 7.0)).item() == 7.0
    assert replay.output(key("a", 2), lambda: torch.full((1,), 8.0)).item() == 8.0


def test_a_call_that_is_passed_over_keeps_the_place_of_the_next():
    replay = Replay()
    replay.output(key("a", 1), lambda: torch.ones(1))
    replay.output(key("b", 1), lambda: torch.full((1,), 2.0))
    replay.start_again()
    replay.skip()
    assert replay.output(key("b", 1), never).item() == 2.0


def test_a_function_is_called_once_for_arguments_of_one_shape():
    replay = Replay()
    assert replay.calling(torch.add)(torch.ones(2), torch.ones(2)).tolist() == [2.0, 2.0]
    replay.start_again()
    assert replay.calling(torch.add)(torch.zeros(2), torch.zeros(2)).tolist() == [2.0, 2.0]


@pytest.fixture
def runner():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)).eval()
    with untouched(model) as saved, ModulePath(model) as path:
        yield Runner(model, Example.of(torch.randn(4, 3)), path, saved)


def test_runs_after_the_first_do_not_read_the_weights(runner):
    runner.run()
    with torch.no_grad():
        runner.model[0].weight.fill_(float("nan"))
    later = runner.run({("0.weight", 0): torch.tensor([False, True, False, False])})
    assert {one.family: one.pattern.tolist() for one in later.seen}["2.weight", 1] == [False, True, False, False]


def test_a_run_that_raises_leaves_the_next_one_in_step(runner):
    runner.run()
    example, runner.example = runner.example, Example.of(torch.randn(4, 5))
    with pytest.raises(RuntimeError, match="shapes"):
        runner.run()
    runner.example = example
    mask = torch.tensor([True, False, False, True])
    assert torch.equal(
        {one.family: one.pattern for one in runner.run({("0.weight", 0): mask}).seen}["2.weight", 1], mask
    )


def test_a_tainted_weight_is_used_as_it_is(runner):
    runner.run()
    mask = torch.tensor([False, False, True, False])
    seen = {one.family: one.pattern for one in runner.run_tainted_tensors({("0.weight", 0): mask}).seen}
    assert torch.equal(seen["2.weight", 1], mask)
