"""One penalty for the optimizer that steps, whatever steps by itself or unscales by itself."""

import pytest
import torch
from lightning.pytorch import Callback
from tiny import COEFFICIENT, Module, assert_one_penalty, fit, penalty_gradient, precision, task_gradient

from physprune_pl.callbacks.force_regularization import ForceRegularization

pytestmark = pytest.mark.usefixtures("traced_by_hand")


class Manual(Module):
    """One or two optimizers; with ``toggle`` the other one's parameters are frozen while one steps."""

    def __init__(self, optimizers=1, toggle=False, fused=False):
        super().__init__()
        self.automatic_optimization = False
        self.count, self.toggle, self.fused = optimizers, toggle, fused

    def configure_optimizers(self):
        parts = [self.net.one, self.net.two, self.net.three]
        shares = [parts] if self.count == 1 else [parts[:1], parts[1:]]
        kind = torch.optim.Adam if self.fused else torch.optim.SGD
        options = {"fused": True} if self.fused else {}
        return [kind(torch.nn.ModuleList(share).parameters(), lr=0.1, **options) for share in shares]

    def training_step(self, batch, batch_idx):
        self.seen += 1
        optimizers = self.optimizers()
        for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
            if self.toggle:
                self.toggle_optimizer(optimizer)
            optimizer.zero_grad()
            self.manual_backward(self.loss(batch))
            optimizer.step()
            # Older versions of torch go on with the cast copies of weights that have moved meanwhile.
            torch.clear_autocast_cache()
            if self.toggle:
                self.untoggle_optimizer(optimizer)


@pytest.mark.parametrize("name", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize(("optimizers", "toggle"), [(1, False), (2, False), (2, True)])
def test_manual_optimization_pays_at_each_step_for_the_optimizer_that_steps(name, optimizers, toggle):
    options, dtype, tolerance = precision(name)
    module = Manual(optimizers, toggle)
    steps, _ = fit(module, ForceRegularization("exponential", COEFFICIENT), epochs=1, **options)
    assert len(steps) == 5 * optimizers
    for step in steps:
        step["grad"] = {n: g if step["names"][n] in step["held"] else None for n, g in step["grad"].items()}
        task, penalty = task_gradient(step, dtype), penalty_gradient(step)
        for key, grad in step["grad"].items():
            if grad is not None:
                torch.testing.assert_close(
                    grad.double(), task[key].double() + penalty[key], rtol=tolerance, atol=tolerance
                )


def test_manual_optimization_leaves_the_other_optimizer_alone():
    class Check(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            waiting = pl_module.net.two if optimizer is trainer.optimizers[0] else pl_module.net.one
            if optimizer is trainer.optimizers[0]:
                assert all(parameter.grad is None for parameter in waiting.parameters())
            assert all(not one.requires_grad for one in waiting.parameters())

    module = Manual(2, toggle=True)
    fit(module, ForceRegularization("exponential", COEFFICIENT), Check(), epochs=1, batches=1)
    assert all(parameter.requires_grad for parameter in module.parameters())


class _UnscalesItself(torch.optim.SGD):
    """What a fused optimizer does: it is handed scaled gradients and the scale."""

    _step_supports_amp_scaling = True

    def step(self, closure=None):
        self.seen_scale = self.grad_scale.item()
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad.div_(self.grad_scale)
        self.grad_scale = self.found_inf = None
        return super().step(closure)


@pytest.mark.parametrize("manual", [True, False])
def test_an_optimizer_that_unscales_itself_gets_a_scaled_penalty(manual):
    options, dtype, tolerance = precision("16-mixed")
    module = Manual() if manual else Module()
    module.configure_optimizers = lambda: _UnscalesItself(module.net.parameters(), lr=0.1)
    steps, run = fit(module, ForceRegularization("exponential", COEFFICIENT), epochs=1, batches=2, **options)
    assert run.optimizers[0].seen_scale == 256.0
    for step in steps:
        step["grad"] = {name: grad / 256.0 for name, grad in step["grad"].items()}
    assert_one_penalty(steps, tolerance, dtype)


class Raw(Manual):
    """Steps past the trainer: with the bare optimizer, or with one inside of it."""

    inner = False

    def training_step(self, batch, batch_idx):
        self.seen += 1
        optimizer = self.optimizers(use_pl_optimizer=False)
        optimizer.zero_grad()
        self.manual_backward(self.loss(batch))
        (optimizer.base if self.inner else optimizer).step()


class Outer(torch.optim.Optimizer):
    """Wraps another optimizer, as SAM and Lookahead do."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})
        self.base = torch.optim.SGD(self.param_groups, lr=lr)
        self.param_groups = self.base.param_groups

    def step(self, closure=None):
        self.base.step()


class OuterRaw(Raw):
    def configure_optimizers(self):
        return Outer(self.net.parameters(), lr=0.1)


class Around(OuterRaw):
    training_step = Manual.training_step


class Inside(OuterRaw):
    inner = True


class Closure(Raw):
    """The gradients are made inside the step."""

    def training_step(self, batch, batch_idx):
        self.seen += 1
        optimizer = self.optimizers().optimizer

        def closure():
            optimizer.zero_grad()
            self.manual_backward(self.loss(batch))

        optimizer.step(closure)


@pytest.mark.parametrize("kind", [Raw, OuterRaw, Inside, Around, Closure])
def test_a_step_past_the_trainer_pays_one_penalty_too(kind):
    torch.manual_seed(0)
    told, force = Manual(), ForceRegularization("exponential", COEFFICIENT)
    fit(told, force, epochs=1)
    torch.manual_seed(0)
    raw, other = kind(), ForceRegularization("exponential", COEFFICIENT)
    _, run = fit(raw, other, epochs=1)
    assert force.steps == other.steps == 5
    for one, two in zip(told.parameters(), raw.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)
    # Nobody presses once the fit is over.
    assert not any(one._optimizer_step_pre_hooks for one in run.optimizers)


def test_a_fit_that_fails_lets_the_optimizers_go():
    class Fails(Raw):
        def on_train_batch_end(self, outputs, batch, batch_idx):
            raise ArithmeticError("after a step")

    kept = []

    class Keep(Callback):
        def on_train_start(self, trainer, pl_module):
            kept.extend(trainer.optimizers)

    with pytest.raises(ArithmeticError):
        fit(Fails(), ForceRegularization("exponential", COEFFICIENT), Keep())
    assert not kept[0]._optimizer_step_pre_hooks
