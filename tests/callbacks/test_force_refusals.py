"""What the force callback refuses, and in which words."""

import copy
import math

import pytest
import torch
from tiny import (
    Module,
    fit,
    precision,
)

from physprune_pl.callbacks.force_regularization import ForceRegularization

pytestmark = pytest.mark.usefixtures("traced_by_hand")


@pytest.mark.parametrize("coefficient", [-1.0, math.nan, math.inf])
def test_the_coefficient_must_be_finite_and_not_negative(coefficient):
    with pytest.raises(ValueError, match="coefficient: expected a finite number"):
        ForceRegularization("exponential", coefficient)


@pytest.mark.parametrize("coefficient", [None, True, [1.0]])
def test_the_coefficient_must_be_a_number(coefficient):
    with pytest.raises(TypeError, match="coefficient: expected a number"):
        ForceRegularization("exponential", coefficient)


def test_auto_needs_a_target():
    with pytest.raises(ValueError, match=r"needs a target to steer to: give the trainer PruneAndFinetune\(target"):
        fit(Module(), ForceRegularization("exponential", "auto"))


def test_a_force_alone_cuts_nothing():
    with pytest.raises(ValueError, match="min_share, max_share: a force alone cuts nothing"):
        fit(Module(), ForceRegularization("exponential", 0.1, min_share={"one": 0.5}))


def test_an_unknown_force_lists_the_choices():
    with pytest.raises(ValueError, match="uniform"):
        ForceRegularization("magnetism", 1.0)


def test_a_negative_pivot_is_refused_at_once_and_one_beyond_a_group_before_training():
    with pytest.raises(ValueError, match="pivot"):
        ForceRegularization("torque", 1.0, pivot=-1)
    with pytest.raises(ValueError, match="pivot"):
        ForceRegularization("torque", 1.0, pivot="last")
    module = Module()
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(ValueError, match="pivot: expected an index from 0 to 4 in group 'two', got 5"):
        fit(module, ForceRegularization("torque", 1.0, pivot=5))
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_a_frozen_network_is_refused():
    module = Module()
    module.net.requires_grad_(False)
    module.extra = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
    module.configure_optimizers = lambda: torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ValueError, match="is frozen"):
        fit(module, ForceRegularization("exponential", 1.0))


@pytest.mark.filterwarnings("ignore:.*this fit will run with no optimizer:UserWarning")
def test_a_fit_without_an_optimizer_is_refused():
    with pytest.raises(ValueError, match="optimizer: expected configure_optimizers to return one that holds param"):
        fit(Module(optimizer=lambda *_, **__: None), ForceRegularization("exponential", 1.0))


def test_lbfgs_is_refused():
    with pytest.raises(ValueError, match="LBFGS"):
        fit(Module(optimizer=torch.optim.LBFGS), ForceRegularization("exponential", 1.0))


class Breaks:
    """A law that fails in group `two` from a step on; on which call depends on the number of groups, two."""

    def __init__(self, step):
        self.step, self.calls = step, 0

    def __call__(self, channels):
        self.calls += 1
        bad = self.calls > 2 * self.step and len(channels.strength) == 5
        return torch.full_like(channels.strength, math.nan if bad else 1.0)


@pytest.mark.parametrize(("step", "epoch"), [(0, 0), (50, 10)])
def test_coefficients_that_are_not_finite_name_law_group_epoch_and_step(step, epoch):
    with pytest.raises(ValueError, match=rf"Breaks.*on group 'two'.*finite.*\(epoch {epoch}, optimizer step {step}\)"):
        fit(Module(), ForceRegularization(Breaks(step), 1.0), epochs=11)


def test_a_penalty_that_is_not_finite_between_two_looks_at_it_ends_the_fit_one_step_later():
    with pytest.raises(ValueError, match="epoch 0, optimizer step 4; nor are the strengths of the groups one, two"):
        fit(Module(), ForceRegularization(Breaks(3), 1.0), epochs=1)


def test_a_penalty_that_a_scaler_skips_is_found_at_the_next_look():
    options, _, _ = precision("16-mixed")
    module = Module()
    with pytest.raises(ValueError, match=r"on group 'two'.*finite.*\(epoch 10, optimizer step"):
        fit(module, ForceRegularization(Breaks(3), 1e-3), epochs=11, **options)
    assert all(bool(value.isfinite().all()) for value in module.state_dict().values())
