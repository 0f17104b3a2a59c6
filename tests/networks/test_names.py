"""State dicts of compiled and of plain modules are one."""

import torch
from torch import nn

from physprune_pl.networks.names import follow_names


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sequential(nn.Linear(4, 2)))


def compiled(*places):
    """The network with some modules compiled, the innermost first."""
    model = net()
    for place in places:
        model.set_submodule(place, torch.compile(model.get_submodule(place), backend="eager"))
    return model


def test_entries_and_versions_are_called_what_the_model_calls_them():
    models = [net(), compiled("1"), compiled("2.0", "2"), compiled("0", "2")]
    for one in models:
        for other in models:
            weights = one.state_dict()
            follow_names(weights, other)
            assert list(weights) == list(other.state_dict())
            norm = next(name for name, module in reversed(list(other.named_modules())) if name.startswith("1"))
            assert weights._metadata[norm] == {"version": 2}
            other.load_state_dict(weights)


def test_entries_of_no_module_stay_as_they_are():
    weights = {"elsewhere.weight": 1, "scale": 2, "1._extra_state": 3, "2._orig_mod._extra_state": 4}
    follow_names(weights, compiled("1"))
    assert weights == {"elsewhere.weight": 1, "scale": 2, "1._orig_mod._extra_state": 3, "2._extra_state": 4}
