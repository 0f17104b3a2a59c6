"""A pressed step reads nothing back from the device, but for the check once in a while."""

import pytest
import torch
from read_back import NothingReadBack
from tiny import Module, fit

from physprune_pl.callbacks.force_regularization import CHECK_EVERY, ForceRegularization
from physprune_pl.forces import FORCES

pytestmark = pytest.mark.usefixtures("traced_by_hand")


class Watched(ForceRegularization):
    """Presses under watch from the second step on; the first checks whether all coefficients are finite."""

    watched = 0

    def _press(self, *arguments):
        if self.steps % CHECK_EVERY == 0:
            return super()._press(*arguments)
        self.watched += 1
        with NothingReadBack():
            return super()._press(*arguments)


@pytest.mark.parametrize("pivot", ["first", "strongest"])
@pytest.mark.parametrize("law", FORCES)
def test_a_step_reads_nothing_back(law, pivot):
    force = Watched(law, 1e-3, pivot=pivot)
    fit(Module(), force, epochs=1)
    assert force.watched == 4


def test_a_law_of_ones_own_may_read_back_and_is_called_for_every_group():
    def law(channels):
        assert isinstance(channels.pivot, int)
        return channels.distance * float(channels.strength.max())

    fit(Module(), ForceRegularization(law, 1e-3, pivot="strongest"), epochs=1)
    with pytest.raises(AssertionError, match="_local_scalar_dense"):
        fit(Module(), Watched(law, 1e-3), epochs=1)
    assert torch.is_grad_enabled()
