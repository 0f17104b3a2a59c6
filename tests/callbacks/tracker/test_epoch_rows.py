"""The filters of a layer are the weights that make its outputs."""

import pytest
import torch
from torch import nn

from physprune_pl.callbacks.tracker.epoch_rows import layer_filters


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_filter_is_what_makes_one_output(kind, groups):
    layer = kind(4, 6, 3, groups=groups, bias=False)
    filters = layer_filters(layer)
    assert filters.shape == (6, 4 // groups * 9)
    image = torch.randn(1, 4, 3, 3)
    for output in range(6):
        changed = kind(4, 6, 3, groups=groups, bias=False)
        changed.load_state_dict(layer.state_dict())
        rows = changed.weight.data
        if kind is nn.Conv2d:
            rows[output] = 0
        else:
            inputs = slice(4 // groups * (output // (6 // groups)), 4 // groups * (output // (6 // groups) + 1))
            rows[inputs, output % (6 // groups)] = 0
        same = (layer(image) == changed(image)).flatten(2).all(2)[0]
        assert same.tolist() == [k != output for k in range(6)]
        assert filters[output].norm().item() == pytest.approx(
            (layer.weight.square().sum() - rows.square().sum()).sqrt().item(), rel=1e-4
        )
