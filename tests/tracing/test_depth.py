"""What a trace runs grows with the depth of a network as the network itself does, and no faster."""

from collections import Counter

import pytest
import torch
from torch import nn

from experiments.training.models import CifarResNet
from physprune_pl.tracing.tracer import trace


def runs(depth: int) -> float:
    """Return how often a trace calls a convolution of a residual network, on average."""
    model, calls = CifarResNet(depth), Counter()
    count = torch.nn.modules.module.register_module_forward_pre_hook(lambda module, _: calls.update([type(module)]))
    try:
        trace(model, torch.randn(2, 3, 8, 8))
    finally:
        count.remove()
    return calls[nn.Conv2d] / sum(isinstance(module, nn.Conv2d) for module in model.modules())


def test_every_layer_is_called_as_often_however_deep_the_network_is():
    shallow, deep = runs(20), runs(56)
    assert shallow > 10
    assert deep == pytest.approx(shallow, rel=0.1)
