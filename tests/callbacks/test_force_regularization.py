"""Right before every optimizer step, .grad holds the task gradient plus exactly one penalty gradient."""

import copy
import math

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from tiny import (
    COEFFICIENT,
    PRECISIONS,
    Module,
    Net,
    assert_one_penalty,
    exponential_penalty,
    fit,
    penalty_gradient,
    precision,
    task_gradient,
)

from physprune_pl.callbacks.force_regularization import ForceRegularization

pytestmark = pytest.mark.usefixtures("traced_by_hand")


@pytest.mark.parametrize("accumulate", [1, 2, 4])
@pytest.mark.parametrize("name", PRECISIONS)
def test_one_penalty_per_step_whatever_precision_and_accumulation(name, accumulate):
    options, dtype, tolerance = precision(name)
    force = ForceRegularization("exponential", COEFFICIENT)
    steps, _ = fit(Module(), force, accumulate_grad_batches=accumulate, **options)
    assert len(steps) == 2 * math.ceil(5 / accumulate)
    assert_one_penalty(steps, tolerance, dtype)
    for step in steps:
        for key, weight in step["after"].items():
            expected = step["net"].state_dict()[key] - 0.1 * step["grad"][key]
            torch.testing.assert_close(weight, expected)


def test_the_gradient_is_that_of_the_documented_penalty_by_finite_differences():
    steps, _ = fit(Module(), ForceRegularization("exponential", COEFFICIENT), precision="64-true", epochs=1)
    step, eps = steps[-1], 1e-6
    task = task_gradient(step)
    for name, weight in step["net"].named_parameters():
        ours = (step["grad"][name] - task[name]).flatten()
        flat = weight.data.flatten()
        for index in range(0, len(flat), 3):
            values = []
            for sign in (1, -1):
                net = copy.deepcopy(step["net"])
                net.get_parameter(name).data.view(-1)[index] += sign * eps
                values.append(exponential_penalty(net, COEFFICIENT).item())
            assert (values[0] - values[1]) / (2 * eps) == pytest.approx(ours[index].item(), abs=1e-8)


def test_accumulation_may_change_from_epoch_to_epoch():
    accumulation = GradientAccumulationScheduler({0: 1, 1: 2, 2: 4})
    steps, _ = fit(Module(), ForceRegularization("exponential", COEFFICIENT), accumulation, epochs=3)
    assert [step["accumulate"] for step in steps] == [1] * 5 + [2] * 3 + [4] * 2
    assert_one_penalty(steps)


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`:UserWarning")
@pytest.mark.parametrize("skip", [(0,), (1,), (0, 1), (0, 2, 5, 7), (4,)])
@pytest.mark.parametrize("accumulate", [2, 4])
def test_a_window_owes_its_penalty_until_a_batch_has_a_loss(skip, accumulate):
    module = Module(skip=skip)
    steps, _ = fit(module, ForceRegularization("exponential", COEFFICIENT), accumulate_grad_batches=accumulate)
    assert_one_penalty([step for step in steps if step["batches"]])
    for step in steps:
        if not step["batches"]:
            assert all(grad is None for grad in step["grad"].values())


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`:UserWarning")
def test_a_step_without_loss_moves_nothing():
    steps, _ = fit(Module(skip=(2,)), ForceRegularization("exponential", COEFFICIENT), epochs=1)
    step = steps[2]
    torch.testing.assert_close(step["after"], step["net"].state_dict(), rtol=0, atol=0)
    assert_one_penalty(steps[:2] + steps[3:])


@pytest.mark.parametrize("algorithm", ["norm", "value"])
@pytest.mark.parametrize("name", ["32-true", "16-mixed"])
def test_clipping_clips_the_sum(algorithm, name):
    options, dtype, tolerance = precision(name)
    options |= {"gradient_clip_val": 0.02, "gradient_clip_algorithm": algorithm}
    steps, _ = fit(Module(), ForceRegularization("exponential", COEFFICIENT), accumulate_grad_batches=2, **options)
    assert_one_penalty(steps, tolerance, dtype)
    for step in steps:
        norm = torch.stack([grad.norm() for grad in step["grad"].values()]).norm()
        for key, weight in step["after"].items():
            grad = step["grad"][key]
            clipped = grad * min(1.0, 0.02 / (norm + 1e-6)) if algorithm == "norm" else grad.clamp(-0.02, 0.02)
            torch.testing.assert_close(weight, step["net"].state_dict()[key] - 0.1 * clipped)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.RMSprop])
def test_other_optimizers_see_the_same_gradient(optimizer):
    module = Module(optimizer=optimizer, lr=1e-2, weight_decay=0.1)
    steps, _ = fit(module, ForceRegularization("exponential", COEFFICIENT), accumulate_grad_batches=2)
    assert_one_penalty(steps)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_coefficient_0_is_bit_for_bit_no_callback(accumulate, optimizer):
    def run(*callbacks):
        torch.manual_seed(3)
        module = Module(optimizer=optimizer, lr=1e-2)
        fit(module, *callbacks, accumulate_grad_batches=accumulate)
        return module.state_dict(), torch.rand(1)

    plain, plain_random = run()
    pressed, pressed_random = run(ForceRegularization("exponential", 0.0))
    assert all(torch.equal(plain[key], pressed[key]) for key in plain)
    assert torch.equal(plain_random, pressed_random)


def test_coefficient_0_leaves_unused_parameters_without_gradient():
    class Unused(Module):
        def loss(self, batch):
            return self.net.one(batch[0]).square().mean()

    steps, _ = fit(Unused(), ForceRegularization("exponential", 0), epochs=1)
    assert steps[-1]["grad"]["three.weight"] is None


def test_a_parameter_that_the_task_does_not_use_gets_the_penalty_alone():
    class Unused(Module):
        def loss(self, batch):
            return self.net.one(batch[0]).square().mean()

    steps, _ = fit(Unused(), ForceRegularization("exponential", COEFFICIENT), epochs=1)
    torch.testing.assert_close(steps[0]["grad"]["three.weight"].double(), penalty_gradient(steps[0])["three.weight"])


def test_the_loss_and_what_is_logged_of_it_stay_those_of_the_task():
    losses, logged = [], []

    class Watch(Callback):
        def on_before_backward(self, trainer, pl_module, loss):
            losses.append(loss.item())

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            logged.append({key: value.item() for key, value in trainer.callback_metrics.items()})

    steps, _ = fit(Module(), ForceRegularization("exponential", COEFFICIENT), Watch(), epochs=1)
    for step, loss, metrics in zip(steps, losses, logged, strict=True):
        x, y = step["batches"][0]
        task = torch.nn.functional.mse_loss(step["net"](x), y).item()
        assert loss == pytest.approx(task)
        assert metrics["loss"] == pytest.approx(task)
        assert metrics["physprune/penalty"] == pytest.approx(exponential_penalty(step["net"], COEFFICIENT).item())


def test_the_penalty_is_logged_at_the_trainers_pace():
    class Watch(Callback):
        values = ()

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.values += (trainer.callback_metrics.get("physprune/penalty"),)

    watch = Watch()
    fit(Module(), ForceRegularization("exponential", COEFFICIENT), watch, epochs=1, log_every_n_steps=2)
    values = [None if value is None else value.item() for value in watch.values]
    assert values[0] is None
    assert values[1] == values[2] != values[3] == values[4]


def test_frozen_parameters_are_neither_counted_nor_touched():
    module = Module()
    module.net.two.requires_grad_(False)
    steps, _ = fit(module, ForceRegularization("exponential", COEFFICIENT), epochs=1)
    for step in steps:
        assert step["grad"]["two.weight"] is None
        net = copy.deepcopy(step["net"])
        net.zero_grad()
        exponential_penalty(net, COEFFICIENT, frozen={"two.weight", "two.bias"}).backward()
        expected = task_gradient(step)["one.weight"] + net.one.weight.grad
        torch.testing.assert_close(step["grad"]["one.weight"], expected)


def test_the_pivot_may_be_the_strongest_channel():
    force = ForceRegularization("torque", COEFFICIENT, pivot="strongest")
    fit(Module(), force, epochs=1)
    assert force.steps == 5
    net = Net()
    strengths = torch.rand(11)
    law, segments = force.law, [slice(0, 6), slice(6, 11)]
    seen = law.channels(strengths, torch.ones(11), segments)
    assert [one.pivot for one in seen] == [int(strengths[:6].argmax()), int(strengths[6:].argmax())]
    assert len(net.one.bias) == 6
