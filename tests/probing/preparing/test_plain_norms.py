"""Norms that are written by hand run as PyTorch's own, what only looks like one does not."""

import pytest
import torch
from torch import nn

from physprune_pl.probing.preparing.plain_norms import PlainLayerNorm, PlainRootMeanSquare, plain_norms


class Written(nn.Module):
    def __init__(self, bias=False, power=2, plus=0.0):
        super().__init__()
        self.weight, self.eps, self.power, self.plus = nn.Parameter(torch.rand(6)), 1e-3, power, plus
        if bias:
            self.bias = nn.Parameter(torch.rand(6))

    def forward(self, x):
        if hasattr(self, "bias"):
            x = x - x.mean(-1, keepdim=True)
        x = x * torch.rsqrt(x.abs().pow(self.power).mean(-1, keepdim=True) + self.eps)
        return x * (self.weight + self.plus) + getattr(self, "bias", 0.0)


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (Written(), PlainRootMeanSquare),
        (Written().bfloat16(), PlainRootMeanSquare),
        (Written(bias=True), PlainLayerNorm),
        (Written(plus=1.0), Written),
        (Written(power=3), Written),
        (nn.Linear(6, 6), nn.Linear),
        (nn.LayerNorm(6), nn.LayerNorm),
        (nn.RMSNorm(6), nn.RMSNorm),
    ],
)
def test_norms_by_hand(module, kind):
    own, model = type(module), nn.Sequential(module)
    x = torch.randn(2, 5, 6, dtype=module.weight.dtype)
    expected = model(x)
    with plain_norms(model):
        assert type(model[0]) is kind
        torch.testing.assert_close(model(x), expected, rtol=2e-2, atol=2e-2)
    assert type(model[0]) is own


def test_parameters_stay_as_they_are():
    module = Written()
    before = module.weight.detach().clone()
    with pytest.raises(RuntimeError), plain_norms(module):
        module(torch.zeros(2, 5))
    assert type(module) is Written
    assert torch.equal(module.weight, before)
