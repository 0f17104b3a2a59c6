"""Recalibration against averages taken by hand, and what it must leave alone."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from physprune_pl.networks.recalibration import recalibrate


class Net(nn.Module):
    """Dropout between two batch norms; the second layer's inputs depend on the first's statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.3)
        self.drop, self.two, self.last = nn.Dropout(0.5), nn.Linear(4, 5), nn.BatchNorm1d(5)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.two(self.drop(torch.relu(self.norm(self.one(x))))))


def batches(count: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(6, 3, generator=generator) for _ in range(count)]


def trained() -> Net:
    """A network with statistics of its own."""
    torch.manual_seed(0)
    net = Net()
    net(2 * torch.randn(8, 3) + 1)
    return net


def normalised(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    return (x - x.mean(0)) / (x.var(0, unbiased=False) + norm.eps).sqrt() * norm.weight + norm.bias


def test_statistics_are_plain_averages_over_the_batches() -> None:
    net = trained()
    seen: dict[str, list[Tensor]] = {"norm": [], "last": []}
    for x in batches():
        seen["norm"].append(net.one(x))
        seen["last"].append(net.two(torch.relu(normalised(seen["norm"][-1], net.norm))))
    assert recalibrate(net, batches()) == 2
    for name, inputs in seen.items():
        layer = getattr(net, name)
        assert torch.allclose(layer.running_mean, sum(x.mean(0) for x in inputs) / 3, atol=1e-6)
        assert torch.allclose(layer.running_var, sum(x.var(0) for x in inputs) / 3, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_else_changes(training: bool) -> None:
    net = trained().train(training)
    net.norm.eval()
    before, modes = copy.deepcopy(net.state_dict()), [module.training for module in net.modules()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()

    def noisy():  # a loader may draw random numbers
        for x in batches():
            yield x + 0 * torch.rand(1) + 0 * random.random()

    recalibrate(net, noisy())
    assert [module.training for module in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
    assert (net.norm.momentum, net.last.momentum) == (0.3, 0.1)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"{layer}.running_{what}" for layer in ("norm", "last") for what in ("mean", "var")}


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(2), (4, 2, 5)),
        (nn.BatchNorm2d(2), (4, 2, 3, 3)),
        (nn.BatchNorm3d(2), (4, 2, 2, 3, 3)),
        (nn.SyncBatchNorm(2), (4, 2, 3, 3)),
        (nn.BatchNorm2d(2, affine=False, momentum=None), (4, 2, 3, 3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_batch_norm(layer: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    assert recalibrate(nn.Sequential(layer), [x, x]) == 1
    channels = x.transpose(0, 1).flatten(1)
    assert torch.allclose(layer.running_mean, channels.mean(1), atol=1e-6)
    assert torch.allclose(layer.running_var, channels.var(1), atol=1e-6)


def test_without_statistics_no_batch_is_read() -> None:
    def none():
        raise AssertionError("a batch was read")
        yield

    assert recalibrate(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)), none()) == 0


def test_a_layer_that_no_batch_reaches_keeps_its_statistics() -> None:
    net = nn.ModuleDict({"used": nn.BatchNorm1d(3), "unused": nn.BatchNorm1d(3)})
    net["unused"].running_mean.fill_(7.0)
    net.forward = net["used"].forward
    assert recalibrate(net, [torch.randn(4, 3)]) == 1
    assert net["unused"].running_mean.tolist() == [7.0] * 3


@pytest.mark.parametrize("bad", [[], [torch.randn(4, 3), torch.randn(1, 3)]], ids=["no batches", "a single sample"])
def test_errors_leave_the_statistics_alone(bad: list[Tensor]) -> None:
    net = trained()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=r"batches: expected at least one|more than 1 value per channel"):
        recalibrate(net, bad)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert (net.training, net.norm.momentum) == (True, 0.3)


def test_inputs_of_any_form() -> None:
    one, other = trained(), trained()
    recalibrate(one, [(x,) for x in batches()])
    recalibrate(other, [{"x": x} for x in batches()])
    assert torch.equal(one.last.running_var, other.last.running_var)
