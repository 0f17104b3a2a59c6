"""The index of a channel written in runs: what is read again is certain or says that it is not."""

import pytest
import torch
from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import untouched
from physprune_pl.probing.runner import Runner
from physprune_pl.probing.watching.codes import decode, masks_of, word_length
from physprune_pl.probing.watching.tainting import ModulePath


def written(size):
    """The masks of the runs that taint ``size`` channels."""
    return masks_of(torch.arange(size), word_length(size))


def carried(size, reaches):
    """Patterns of slots, each reached by the listed channels of ``size``."""
    masks = written(size)
    return [torch.tensor([bool(mask[list(channels)].any()) for channels in reaches]) for mask in masks]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9, 31, 64, 100, 513])
def test_every_index_is_read_as_it_was_written(size):
    index, certain = decode(written(size))
    assert torch.equal(index, torch.arange(size))
    assert certain.all()


@pytest.mark.parametrize(("size", "runs"), [(1, 2), (2, 2), (3, 4), (4, 4), (5, 5), (64, 9), (256, 12), (768, 13)])
def test_as_few_runs_as_possible_taint_half_of_the_words(size, runs):
    odd, even, *rest = written(size)
    assert 2 + len(rest) == runs == word_length(size)
    assert torch.equal(odd, ~even)
    assert set(sum(mask.int() for mask in rest).tolist() if rest else [0]) == {len(rest) // 2}


def test_slots_may_come_in_any_order_and_several_from_one_channel():
    order = [4, 0, 0, 3, 2, 4]
    index, certain = decode(carried(5, [[channel] for channel in order]))
    assert index.tolist() == order
    assert certain.all()


def test_a_slot_that_nothing_reaches_is_not_certain():
    index, certain = decode(carried(6, [[1], [], [5]]))
    assert certain.tolist() == [True, False, True]
    assert index[certain].tolist() == [1, 5]


@pytest.mark.parametrize("size", [2, 3, 6, 9])
def test_a_slot_that_two_channels_reach_is_never_certain(size):
    pairs = [[one, other] for one in range(size) for other in range(one)]
    assert not decode(carried(size, pairs))[1].any()


def test_one_ambiguous_run_is_enough():
    # channels 2 and 3 differ in the first two runs only
    index, certain = decode(carried(8, [[2, 3], [2], [3], [0, 7]]))
    assert certain.tolist() == [False, True, True, False]
    assert index[1:3].tolist() == [2, 3]


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def chain():
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 2)).train()
    with untouched(model) as saved, ModulePath(model) as path:
        yield Runner(model, Example.of(torch.randn(4, 3)), path, saved)


def test_bits_put_in_at_a_source_are_read_at_its_consumer(chain):
    runs = [chain.run({("0.weight", 0): mask}) for mask in written(5)]
    place = [seen.family for seen in runs[0].seen].index(("3.weight", 1))
    index, certain = decode([run.seen[place].pattern for run in runs])
    assert index.tolist() == [0, 1, 2, 3, 4]
    assert certain.all()
    assert not any(run.returned for run in runs)


def test_only_the_last_source_reaches_what_the_model_returns(chain):
    assert not chain.run().returned
    assert chain.run({("3.weight", 0): torch.tensor([False, True])}).returned
    assert not chain.run({("3.weight", 0): torch.tensor([False, False])}).returned


def test_runs_repeat_and_leave_buffers_as_they_were(chain):
    before = {name: tensor.clone() for name, tensor in chain.tensors.items()}
    first, second = (chain.run({("0.weight", 0): torch.ones(5, dtype=torch.bool)}) for _ in range(2))
    assert first.probe.sequence == second.probe.sequence
    for one, other in zip(first.seen, second.seen, strict=True):
        assert (one.kind, one.family) == (other.kind, other.family)
        assert torch.equal(one.pattern, other.pattern)
    assert all(torch.equal(tensor, before[name]) for name, tensor in chain.tensors.items())


def test_a_tainted_parameter_is_whole_again_even_if_the_model_raises(chain):
    bias = chain.model[0].bias
    values, mask = bias.data.clone(), torch.tensor([True, False, False, False, True])
    seen = {one.family: one.pattern for one in chain.run_tainted_tensors({("0.bias", 0): mask}).seen}
    assert torch.equal(seen["3.weight", 1], mask)
    chain.example = Example.of(torch.randn(4, 7))
    with pytest.raises(RuntimeError, match="shapes"):
        chain.run_tainted_tensors({("0.bias", 0): mask})
    assert chain.model[0].bias is bias
    assert torch.equal(bias.data, values)


def test_a_tainted_input_is_seen_by_what_reads_it_only(chain):
    seen = {one.family: one.pattern for one in chain.run_tainted_input().seen}
    assert seen["0.weight", 1].all()
    assert not seen["3.weight", 1].any()
    assert not chain.example.args[0].isnan().any()


def test_a_run_knows_the_places_that_met_nan(chain):
    run = chain.run({("0.weight", 0): torch.ones(chain.tensors["0.weight"].shape[0], dtype=torch.bool)})
    assert run.hits == [place for place, seen in enumerate(run.seen) if bool(seen.pattern.any())] != []
    assert chain.run().hits == []


class Stubborn(nn.Module):
    """Goes on, or makes an error of its own, whatever its first layers raise; counts what its last layer is given."""

    def __init__(self, wrapped: bool) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.wrapped, self.calls = wrapped, []

    def forward(self, x):
        try:
            hidden = self.second(self.first(x)).relu()
        except BaseException as error:
            self.calls.append("caught")
            if self.wrapped:
                raise RuntimeError("something went wrong") from error
            hidden = x.new_zeros(1, 4)
        self.calls.append("last")
        return self.last(hidden)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_run_ends_behind_the_last_place_that_it_is_made_for(wrapped):
    model = Stubborn(wrapped).eval()
    with untouched(model) as saved, ModulePath(model) as path:
        runner = Runner(model, Example.of(torch.zeros(1, 3)), path, saved)
        clean, mask = runner.run(), {("first.weight", 0): torch.tensor([True, False, True, False])}
        whole = runner.attempt(lambda: runner.run(mask), clean)
        seen = []
        model.last.register_forward_pre_hook(lambda *_: seen.append("last"))
        short = runner.attempt(lambda: runner.run(mask, last=1), clean)
        assert short.probe.over
        assert not whole.probe.over
        assert seen == []
        assert path.current == "the model's own forward"
        assert [(one.family, one.pattern.tolist()) for one in short.seen] == [
            (one.family, one.pattern.tolist()) for one in whole.seen
        ]
        assert runner.attempt(lambda: runner.run(mask, last=2), clean).hits == whole.hits == [1]


def test_an_error_of_the_model_is_none_that_ends_a_run():
    model = Stubborn(wrapped=False).eval()
    with untouched(model) as saved, ModulePath(model) as path:
        runner = Runner(model, Example.of(torch.zeros(1, 3)), path, saved)
        clean = runner.run()
        model.last.register_forward_pre_hook(lambda *_: 1 / 0)
        assert runner.attempt(lambda: runner.run(last=9), clean) is None
        assert runner.refusal.startswith("ZeroDivisionError")
