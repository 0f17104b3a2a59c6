"""Steering under optimizers and strengths of every kind: the same channels arrive, by way of gradient or weights."""

import pytest
import torch
from lightning.pytorch import Callback
from tiny import Module, loader, trainer

from physprune_pl import physics_pruning
from physprune_pl.callbacks.trainer.injection import follows_gradients
from physprune_pl.strengths import L1, L2

OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    "adamw": (torch.optim.AdamW, {"lr": 1e-4}),
    "rmsprop": (torch.optim.RMSprop, {"lr": 1e-4}),
}


class Watcher(Callback):
    """Compares ``.grad`` with the task's gradient, and keeps how far the chosen channels have come."""

    def __init__(self, force):
        self.force, self.gaps, self.remaining = force, [], {}

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        found = [parameter.grad.clone() for parameter in pl_module.net.parameters()]
        task = torch.autograd.grad(pl_module.loss(self.batch), list(pl_module.net.parameters()))
        self.gaps.append(max(float((one - other).abs().max()) for one, other in zip(found, task, strict=True)))

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.batch = batch

    def on_train_epoch_end(self, trainer, pl_module):
        session = self.force.session
        if session.phase == "sparsify":
            self.remaining = {
                one.group: one.remaining for one in session.steering.arrivals(session.penalty.strengths())
            }


@pytest.fixture(params=OPTIMIZERS)
def optimizer(request):
    return request.param


@pytest.mark.parametrize("strength", ["l2", "l1", "squared_l2"])
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_every_chosen_channel_arrives(optimizer, strength, tmp_path):
    make, options = OPTIMIZERS[optimizer]
    callbacks = physics_pruning("exponential", target={"params": 0.6}, finetune_epochs=0, strength=strength)
    # Before the force callback: what is in .grad when the step comes is the task's, and the penalty's where it goes.
    watcher = Watcher(callbacks[0])
    trainer(*callbacks, watcher, epochs=30, default_root_dir=tmp_path).fit(Module(make, **options), loader())
    assert watcher.remaining
    assert all(remaining <= 0.01 for remaining in watcher.remaining.values()), watcher.remaining
    assert not callbacks[-1].report.not_arrived


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_the_gradient_is_the_tasks_alone_where_weights_are_scaled(optimizer, tmp_path):
    make, options = OPTIMIZERS[optimizer]
    callbacks = physics_pruning("uniform", target={"params": 0.6}, finetune_epochs=0)
    watcher = Watcher(callbacks[0])
    trainer(watcher, *callbacks, epochs=3, default_root_dir=tmp_path).fit(Module(make, **options), loader())
    pressed = max(watcher.gaps) > 1e-6
    assert pressed == (optimizer == "sgd")


def test_gradients_press_under_plain_sgd_and_l2_only():
    parameters = [torch.nn.Parameter(torch.ones(2))]
    assert follows_gradients(torch.optim.SGD(parameters, lr=0.1), L2())
    assert follows_gradients(torch.optim.SGD(parameters, lr=0.1), L2(scope="filter"))
    assert not follows_gradients(torch.optim.SGD(parameters, lr=0.1), L1())
    assert not follows_gradients(torch.optim.Adam(parameters, lr=0.1), L2())
