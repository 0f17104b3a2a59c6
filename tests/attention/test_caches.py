"""What a language model hands back for its next call is no output while it is traced."""

from types import SimpleNamespace

import pytest
from torch import nn

from physprune_pl.attention.caches import without_cache


def test_caches_are_off_inside_only():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    shared = SimpleNamespace(use_cache=True)
    model.config, model[0].config, model[1].config = shared, shared, SimpleNamespace(use_cache=False)
    with pytest.raises(RuntimeError), without_cache(model):
        assert shared.use_cache is False
        raise RuntimeError
    assert shared.use_cache is True
    assert model[1].config.use_cache is False
