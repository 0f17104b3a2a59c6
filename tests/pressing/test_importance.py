"""First-order importance against naive loops: slices of all kinds, gradients of all kinds, and their running mean."""

import pytest
import reference
import torch
from hand_traces import GROUPS, N, make_tensors
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from physprune_pl.pressing.importance import Importance, RunningMean
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.strengths import L2
from physprune_pl.structure import ChannelGroup, Slice

SIZES = {group.name: group.size for group in GROUPS}


def reader(tensors, groups=GROUPS, horizon=10):
    return Importance(groups, tensors, RunningMean({group.name: group.size for group in groups}, horizon))


def give_gradients(tensors, seed=0, missing=()):
    torch.manual_seed(seed)
    for name, tensor in tensors.items():
        wanted = tensor.requires_grad and name not in missing
        tensor.grad = torch.randn_like(tensor) if wanted else None


def naive(tensors, groups=GROUPS):
    gradients = {name: tensor.grad for name, tensor in tensors.items()}
    return [reference.taylor(group, k, tensors, gradients) for group in groups for k in range(group.size)]


def known(importance):
    """Roots where something is known, else 0."""
    roots = importance.mean.roots()
    return torch.where(roots.isfinite(), roots, 0.0)


def test_one_step_is_the_naive_sum():
    tensors = make_tensors()
    importance = reader(tensors)
    give_gradients(tensors)
    importance.note()
    assert importance.mean.roots().shape == (N,)
    reference.close(known(importance), [abs(one) for one in naive(tensors)], 1e-10)


@pytest.mark.parametrize("left_out", range(3))
def test_what_has_no_gradient_adds_nothing(left_out):
    tensors = make_tensors()
    missing = [name for place, name in enumerate(tensors) if place % 3 == left_out]
    importance = reader(tensors)
    give_gradients(tensors, missing=missing)
    importance.note()
    reference.close(known(importance), [abs(one) for one in naive(tensors)], 1e-10)


def test_only_the_parameters_that_step_count():
    tensors = make_tensors()
    chosen = dict(list(tensors.items())[::2])
    importance = reader(tensors)
    give_gradients(tensors)
    importance.note(only={id(tensor) for tensor in chosen.values()})
    for name in tensors.keys() - chosen.keys():
        tensors[name].grad = None
    reference.close(known(importance), [abs(one) for one in naive(tensors)], 1e-10)


@pytest.mark.parametrize("horizon", [1, 3, 100])
def test_the_running_mean_is_the_naive_one(horizon):
    tensors = make_tensors()
    importance = reader(tensors, horizon=horizon)
    readings = []
    for step in range(7):
        give_gradients(tensors, seed=step)
        importance.note()
        readings.append(naive(tensors))
    expected = [reference.running_squares(of_channel, horizon) for of_channel in zip(*readings, strict=True)]
    reference.close(importance.mean.squares, expected, 1e-10)


@pytest.mark.parametrize("scale", [1.0, 512.0])
def test_what_was_set_aside_is_taken_off(scale):
    tensors = make_tensors()
    importance = reader(tensors)
    give_gradients(tensors)
    expected = naive(tensors)
    loss = {name: tensor.grad for name, tensor in tensors.items()}
    for tensor in tensors.values():
        tensor.grad = None
    Penalty(GROUPS, tensors, L2()).add_gradient(torch.rand(N, dtype=torch.float64), scale)
    importance.set_aside(scale)
    for name, tensor in tensors.items():
        if loss[name] is not None:
            task = scale * loss[name]
            tensor.grad = task if tensor.grad is None else tensor.grad + task
    importance.note(scale)
    reference.close(known(importance), [abs(one) for one in expected], 1e-9)


def test_a_step_without_gradients_is_none():
    tensors = make_tensors()
    importance = reader(tensors)
    importance.set_aside()
    importance.note()
    assert importance.mean.roots() is None
    assert importance.mean.steps == 0


def test_a_step_that_a_scaler_skips_is_not_counted():
    tensors = make_tensors()
    importance = reader(tensors)
    give_gradients(tensors)
    importance.note()
    before = importance.mean.squares.clone()
    next(tensor for tensor in tensors.values() if tensor.grad is not None).grad.fill_(float("inf"))
    importance.note()
    assert torch.equal(importance.mean.squares, before)
    assert importance.mean.counts.max() == 1


def test_a_channel_that_no_gradient_reaches_is_not_known():
    weights = {name: nn.Parameter(torch.ones(2, 2)) for name in ("a", "b")}
    groups = [ChannelGroup(name, 2, (Slice(name, 0, (0, 1), (0, 1), "filter"),)) for name in weights]
    weights["b"].requires_grad_(False)
    importance = reader(weights, groups)
    weights["a"].sum().backward()
    importance.note()
    assert importance.mean.roots().tolist() == [2.0, 2.0, float("inf"), float("inf")]


def test_a_tied_weight_counts_once_for_each_axis():
    weight = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    parts = (Slice("one", 0, (0, 1), (0, 1), "filter"), Slice("two", 1, (0, 1), (0, 1), "consumer"))
    importance = reader({"one": weight, "two": weight}, [ChannelGroup("tied", 2, parts)])
    weight.grad = torch.tensor([[1.0, 10.0], [100.0, 1000.0]])
    importance.note()
    assert importance.mean.roots().tolist() == [1.0 + 20.0 + 1.0 + 300.0, 300.0 + 4000.0 + 20.0 + 4000.0]


@pytest.mark.parametrize("count", [1, 3])
def test_gradients_may_lie_in_memory_otherwise_than_weights(count):
    weights = {str(k): nn.Parameter(torch.randn(2, 3, 4, 4)) for k in range(count)}
    if count > 1:
        weights["0"] = nn.Parameter(weights["0"].detach().to(memory_format=torch.channels_last))
    slices = [Slice(name, 0, (0, 1), (0, 1), "filter") for name in weights]
    groups = [ChannelGroup(part.name, 2, (part,)) for part in slices]
    importance = reader(weights, groups)
    for weight in weights.values():
        weight.grad = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    importance.note()
    reference.close(importance.mean.roots(), [abs(one) for one in naive(weights, groups)], 1e-4)


def test_a_sparse_gradient_is_read():
    table = nn.Embedding(5, 2, sparse=True)
    groups = [ChannelGroup("table", 2, (Slice("weight", 1, (0, 1), (0, 1), "filter"),))]
    importance = reader(dict(table.named_parameters()), groups)
    table(torch.tensor([1, 1, 3])).sum().backward()
    importance.note()
    expected = (2 * table.weight[1] + table.weight[3]).abs()
    torch.testing.assert_close(importance.mean.roots(), expected.detach())


@given(values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), horizon=st.integers(1, 40))
def test_the_mean_stays_between_the_smallest_and_the_largest_square(values, horizon):
    mean = RunningMean({"a": 1}, horizon)
    for value in values:
        mean.add(torch.tensor([value], dtype=torch.float64), torch.tensor([True]))
    squares = [value * value for value in values]
    assert min(squares) - 1e-6 <= float(mean.squares) <= max(squares) + 1e-6
    assert float(mean.squares) == pytest.approx(reference.running_squares(values, horizon), abs=1e-6)


def test_what_is_known_of_a_group_stays_known_among_others():
    mean = RunningMean({"a": 2, "b": 1}, horizon=5)
    mean.add(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, True, True]))
    assert mean.regrouped({"a": 2, "b": 1}) is mean
    other = mean.regrouped({"b": 1, "c": 2, "a": 2})
    assert other.roots().tolist() == [3.0, float("inf"), float("inf"), 1.0, 2.0]
    assert mean.regrouped({"a": 3}).roots() is None


def test_a_saved_mean_goes_on():
    mean = RunningMean({"a": 2}, horizon=3)
    mean.add(torch.tensor([1.0, 2.0]), torch.tensor([True, False]))
    again = RunningMean.from_dict(mean.to_dict())
    for one in (mean, again):
        one.add(torch.tensor([3.0, 1.0]), torch.tensor([True, True]))
    assert torch.equal(mean.squares, again.squares)
    assert (again.steps, again.horizon, again.sizes) == (2, 3, {"a": 2})
