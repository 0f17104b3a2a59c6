"""Callbacks that were built one by one share the session of the force, and go through one fit together."""

import pytest
import torch
from small import Saver, cutter, fit

from physprune_pl import ChannelTracker, ForceRegularization, PruneAndFinetune
from physprune_pl.targets.target import Target

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def separate(order=(0, 1, 2), **kwargs):
    callbacks = ForceRegularization("torque", 0.01, strength="l1"), ChannelTracker(), cutter(round_to=2, **kwargs)
    return [callbacks[place] for place in order]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_separate_callbacks_share_one_session(order, tmp_path):
    callbacks = separate(order)
    model, _ = fit(*callbacks, default_root_dir=tmp_path)
    force = next(one for one in callbacks if isinstance(one, ForceRegularization))
    cut = next(one for one in callbacks if isinstance(one, PruneAndFinetune))
    assert len({id(one.session) for one in callbacks}) == 1
    assert force.session.target == Target("macs", 0.5)
    assert force.session.widths.round_to == 2
    assert force.steps == 6
    assert model.net[0].out_channels < 8
    assert cut.report is not None


def test_a_resumed_fit_of_separate_callbacks_ends_alike(tmp_path):
    (tmp_path / "whole").mkdir()
    torch.manual_seed(0)
    whole, _ = fit(*separate(), Saver(tmp_path / "whole"), default_root_dir=tmp_path / "whole")
    for epoch in (0, 2):
        resumed, _ = fit(*separate(), ckpt_path=tmp_path / "whole" / f"{epoch}.ckpt", default_root_dir=tmp_path)
        for name, value in resumed.state_dict().items():
            assert torch.equal(value, whole.state_dict()[name]), (epoch, name)
