"""What a language model hands back for its next call is no output while it is traced."""

from types import SimpleNamespace

import pytest
from torch import nn

from physprune_pl.probing.preparing.caches import without_cache


class Refusing(nn.Module):
    def forward(self, x):
        raise RuntimeError


def test_caches_are_off_inside_only():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), Refusing())
    shared = SimpleNamespace(use_cache=True)
    model.config, model[0].config, model[1].config = shared, shared, SimpleNamespace(use_cache=False)
    with without_cache(model):
        assert shared.use_cache is False
    with pytest.raises(RuntimeError), without_cache(model):
        model[2](None)
    assert shared.use_cache is True
    assert model[1].config.use_cache is False
