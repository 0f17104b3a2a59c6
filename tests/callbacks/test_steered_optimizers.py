"""Steering under optimizers and strengths of every kind: the same channels arrive, by way of gradient or weights."""

import pytest
import torch
from lightning.pytorch import Callback
from tiny import Module, loader, trainer

from experiments.reliability.optimizers import Averaging, Masters, Perturbed, Signs
from physprune_pl import physics_pruning
from physprune_pl.callbacks.trainer.injection import follows_gradients
from physprune_pl.pressing.steering import ARRIVED
from physprune_pl.strengths import L1, L2

OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    "adamw": (torch.optim.AdamW, {"lr": 1e-4}),
    "rmsprop": (torch.optim.RMSprop, {"lr": 1e-4}),
}
# Their steps do not fade at zero, or not where the weights are, or what is evaluated is something else.
OTHERS = {
    "signs": (Signs, {"lr": 0.01}),
    "rprop": (torch.optim.Rprop, {"lr": 0.01}),
    "averaging": (Averaging, {"lr": 0.3}),
    "masters": (Masters, {"lr": 0.1}),
    "perturbed sgd": (Perturbed, {"base": torch.optim.SGD, "lr": 0.05, "momentum": 0.9}),
    "perturbed adam": (Perturbed, {"base": torch.optim.Adam, "lr": 0.01}),
    "adafactor": (torch.optim.Adafactor, {"lr": 0.01}),
    "asgd": (torch.optim.ASGD, {"lr": 0.1}),
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


def left(session):
    return {one.group: one.remaining for one in session.steering.arrivals(session.penalty.strengths())}


class Evaluated(Callback):
    """Keeps how far the chosen channels have come at the end of the phase, as they train and as they are evaluated."""

    def __init__(self, force):
        self.force, self.training, self.evaluated = force, {}, {}

    def on_train_epoch_end(self, trainer, pl_module):
        optimizer = trainer.optimizers[0]
        if self.force.session.phase == "sparsify":
            self.training = left(self.force.session)
            if hasattr(optimizer, "eval"):
                optimizer.eval()
            self.evaluated = left(self.force.session)
            if hasattr(optimizer, "train"):
                optimizer.train()


def assert_arrives(module, tmp_path, epochs=16):
    callbacks = physics_pruning("uniform", target={"params": 0.6}, finetune_epochs=1)
    watcher = Evaluated(callbacks[0])
    trainer(*callbacks, watcher, epochs=epochs, default_root_dir=tmp_path).fit(module, loader())
    assert watcher.training
    assert max(watcher.training.values()) <= ARRIVED
    assert max(watcher.evaluated.values()) <= ARRIVED
    assert callbacks[0].steps
    assert not callbacks[-1].report.not_arrived
    return callbacks


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*begins to gather that anew")
def test_what_is_evaluated_arrives_whatever_the_optimizer_does(name, tmp_path):
    make, options = OTHERS[name]
    assert_arrives(Module(make, **options), tmp_path)


class ByHand(Module):
    """Steps past the trainer: what it is given by ``configure_optimizers`` steps itself, in one step or in two."""

    def __init__(self, optimizer, **options):
        super().__init__(optimizer, **options)
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers(use_pl_optimizer=False)
        self.descend(optimizer, batch)
        if isinstance(optimizer, Perturbed):
            optimizer.first_step()
            self.descend(optimizer, batch)
            optimizer.second_step()
        else:
            optimizer.step()

    def descend(self, optimizer, batch):
        optimizer.zero_grad()
        self.manual_backward(self.loss(batch))


@pytest.mark.parametrize("name", ["perturbed adam", "perturbed sgd", "sgd", "adamw"])
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_steps_past_the_trainer_are_pressed_too(name, tmp_path):
    make, options = (OPTIMIZERS | OTHERS)[name]
    callbacks = assert_arrives(ByHand(make, **options), tmp_path)
    assert callbacks[0].steps == 16 * 5


class Closures(ByHand):
    """Computes its gradients in a closure, of which the optimizer alone knows when it is called."""

    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers(use_pl_optimizer=False)
        optimizer.step(lambda: self.descend(optimizer, batch))


@pytest.mark.parametrize("name", ["perturbed adam", "sgd"])
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_steps_with_closures_past_the_trainer_are_pressed_too(name, tmp_path):
    make, options = (OPTIMIZERS | OTHERS)[name]
    assert_arrives(Closures(make, **options), tmp_path)


class Never(ByHand):
    """Changes its weights without any optimizer."""

    def training_step(self, batch, batch_idx):
        self.descend(self.optimizers(), batch)
        with torch.no_grad():
            for one in self.parameters():
                one -= 0.1 * one.grad


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_weights_that_no_optimizer_moves_are_not_pressed_and_that_is_said(tmp_path):
    callbacks = physics_pruning("uniform", target={"params": 0.6}, finetune_epochs=0)
    with pytest.warns(UserWarning, match="epoch 0 went by without one step of SGD that it could press before") as said:
        trainer(*callbacks, epochs=1, default_root_dir=tmp_path).fit(Never(torch.optim.SGD), loader())
    assert len([one for one in said if "went by" in str(one.message)]) == 1
    report = callbacks[-1].report
    assert report.not_arrived == [one["name"] for one in report.groups if one["after"] < one["before"]] != []


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_an_optimizer_without_a_learning_rate_is_one_of_rate_one(tmp_path):
    class Own(Signs):
        def __init__(self, params, lr):
            super().__init__(params, lr)
            self.own = lr
            for group in self.param_groups:
                group["lr"] = None

        def step(self, closure=None):
            for group in self.param_groups:
                group["lr"] = self.own
            loss = super().step(closure)
            for group in self.param_groups:
                group["lr"] = None
            return loss

    callbacks = assert_arrives(Module(Own, lr=0.01), tmp_path)
    assert callbacks[-1].report.macs["pruned"] < callbacks[-1].report.macs["dense"]


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
