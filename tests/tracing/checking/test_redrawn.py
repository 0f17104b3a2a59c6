"""A redrawn copy runs in the longest type that it can, and is as before after every run."""

import pytest
import torch
from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import untouched
from physprune_pl.surgery.plan import make_plan
from physprune_pl.tracing.checking import large_weights as module
from physprune_pl.tracing.checking.comparable import Comparable
from physprune_pl.tracing.checking.masking import Masks
from physprune_pl.tracing.checking.redrawn import redrawn
from physprune_pl.tracing.tracer import trace

IMAGES = torch.randn(2, 3, 6, 6)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 2, 3))


class Short(nn.Module):
    """Accepts numbers of single precision only."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        if x.dtype is not torch.float32:
            raise TypeError(x.dtype)
        return self.layer(x)


class Scaled(nn.Module):
    """Computes with one weight, and mixes channels with the other."""

    def __init__(self) -> None:
        super().__init__()
        self.plain, self.computed = nn.Linear(3, 4, bias=False), nn.Parameter(torch.randn(2, 4))

    def forward(self, x):
        return nn.functional.linear(self.plain(x), self.computed * 2)


@pytest.mark.parametrize(
    ("model", "example", "dtype"), [(net(), IMAGES, torch.float64), (Short(), IMAGES, torch.float32)]
)
def test_the_longest_type_that_a_network_runs_in_is_taken(model, example, dtype):
    model = model.eval()
    example = example if isinstance(model, nn.Sequential) else torch.randn(2, 3)
    with untouched(model):
        base, outputs, _ = redrawn(model, Example.of(example), set())
    assert base.dtype is dtype
    assert outputs is not None
    assert outputs[0].dtype is dtype


def test_a_large_weight_that_is_computed_with_is_lengthened_once(monkeypatch):
    monkeypatch.setattr(module, "LARGE", 1)
    model = Scaled().eval()
    with untouched(model):
        base, _, _ = redrawn(model, Example.of(torch.randn(2, 3)), {"plain.weight", "computed"})
    assert base.large == {"plain.weight"}
    assert base.model.plain.weight.dtype is torch.float32
    assert base.model.computed.dtype is torch.float64


@pytest.mark.parametrize("training", [False, True])
def test_nothing_of_a_masked_run_or_of_a_cut_copy_stays(training):
    torch.manual_seed(0)
    model = net()
    found = trace(model, IMAGES)
    removed = {group.name: torch.arange(group.size) % 2 == 0 for group in found.groups}
    plan = make_plan(found, list(removed.values()), (0, 0), (0, 0))
    with untouched(model):
        base, _, _ = redrawn(model, Example.of(IMAGES), set())
        before = {name: tensor.clone() for name, tensor in base.model.state_dict().items()}
        masks = Masks(found.groups, removed, plan)
        wanted = base.masked(masks, frozenset(), base.example, training, False)
        cut = base.cut(plan)
        with base.restored(), base.weights_of(cut):
            got = cut.train(training)(base.example.args[0])
        after = base.model.state_dict()
    assert torch.allclose(wanted[0], got, rtol=1e-9)
    assert cut[0].weight.shape == (3, 3, 3, 3)
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())


def test_what_raises_or_is_no_number_puts_out_nothing():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    with untouched(model):
        base, outputs, _ = redrawn(model, Example.of(torch.randn(1, 3)), set())
        assert outputs is not None
        assert base.dense(Comparable({}), training=True) is None  # one sample has no variance
