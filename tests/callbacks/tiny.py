"""A network small enough to follow by hand, its trace written down, and a Lightning module around it."""

import copy
import math

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl.structure import ChannelGroup, MixingCall, Slice, Trace

BATCH = 4
COEFFICIENT = 0.05


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.three(torch.tanh(self.two(torch.tanh(self.one(x)))))


def _group(made_by, read_by, size):
    every = tuple(range(size))
    return ChannelGroup(
        made_by,
        size,
        (
            Slice(f"{made_by}.weight", 0, every, every, "filter"),
            Slice(f"{made_by}.bias", 0, every, every, "carrier"),
            Slice(f"{read_by}.weight", 1, every, every, "consumer"),
        ),
    )


def hand_made_trace(model, example_input=None, ignore=()):
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    return Trace(
        groups=(_group("one", "two", len(model.one.bias)), _group("two", "three", len(model.two.bias))),
        left_whole=(),
        calls=tuple(MixingCall(f"{name}.weight", 1) for name in ("one", "two", "three")),
        seconds=0.0,
        shapes=shapes,
        parameters=frozenset(shapes),
        notes=(),
        fixed_macs=0,
        buffers=frozenset(),
    )


def exponential_penalty(net, coefficient, frozen=()):
    """The documented penalty, with autograd through the strengths and a loop for everything else."""
    total = 0.0
    for made_by, read_by in (("one", "two"), ("two", "three")):
        maker, reader = getattr(net, made_by), getattr(net, read_by)
        size = len(maker.bias)
        raw = [math.exp(5.0 * k / size) for k in range(size)]
        mean = sum(raw) / size
        for k in range(size):
            parts = {
                f"{made_by}.weight": maker.weight[k],
                f"{made_by}.bias": maker.bias[k],
                f"{read_by}.weight": reader.weight[:, k],
            }
            square = sum(part.square().sum() for name, part in parts.items() if name not in frozen)
            total = total + raw[k] / mean * square.sqrt()
    return coefficient * total


class Module(LightningModule):
    """Plain regression; ``skip`` holds the batches (counted over the fit) whose training step returns None."""

    def __init__(self, optimizer=torch.optim.SGD, lr=0.1, skip=(), **kwargs):
        super().__init__()
        self.net = Net()
        self.make = lambda parameters: optimizer(parameters, lr=lr, **kwargs)
        self.skip, self.seen = skip, 0

    def loss(self, batch):
        x, y = batch
        return nn.functional.mse_loss(self.net(x), y)

    def training_step(self, batch, batch_idx):
        self.seen += 1
        if self.seen - 1 in self.skip:
            return None
        loss = self.loss(batch)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return self.make(self.parameters())


def loader(batches=5):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batches * BATCH, 4, generator=generator)
    y = torch.randn(batches * BATCH, 2, generator=generator)
    return DataLoader(TensorDataset(x, y), batch_size=BATCH)


def trainer(*callbacks, epochs=2, **kwargs):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "accelerator": "cpu", "devices": 1, "log_every_n_steps": 1}
    return Trainer(max_epochs=epochs, callbacks=list(callbacks), **quiet | kwargs)


class Recorder(Callback):
    """Keeps, for every optimizer step: weights before, batches of the window, .grad before clipping, weights after."""

    def __init__(self):
        self.steps, self._window = [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self._skips = pl_module.seen in pl_module.skip
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._window = []
        if not self._skips:
            self._window.append(batch)

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.steps.append(
            {
                "net": copy.deepcopy(pl_module.net).requires_grad_(True),
                "batches": list(self._window),
                "ends_in_none": self._skips,
                "accumulate": trainer.accumulate_grad_batches,
                "held": {id(parameter) for group in optimizer.param_groups for parameter in group["params"]},
                "names": {name: id(parameter) for name, parameter in pl_module.net.named_parameters()},
                "grad": _grads(pl_module.net),
            }
        )

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        for step in self.steps[-2:]:
            if "after" not in step:
                step["after"] = copy.deepcopy(pl_module.net.state_dict())


def _grads(net):
    return {name: None if one.grad is None else one.grad.clone() for name, one in net.named_parameters()}


def task_gradient(step, dtype=None):
    net = copy.deepcopy(step["net"])
    net.zero_grad()
    for x, y in step["batches"]:
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            loss = torch.nn.functional.mse_loss(net(x), y)
        (loss / step["accumulate"]).backward()
    return _grads(net)


def penalty_gradient(step, coefficient=COEFFICIENT):
    net = copy.deepcopy(step["net"]).double()
    net.zero_grad()
    exponential_penalty(net, coefficient).backward()
    return {name: torch.zeros_like(one) if one.grad is None else one.grad for name, one in net.named_parameters()}


def fit(module, *callbacks, batches=5, **kwargs):
    recorder = Recorder()
    run = trainer(*callbacks, recorder, **kwargs)
    run.fit(module, loader(batches))
    return recorder.steps, run


def assert_one_penalty(steps, tolerance=1e-6, dtype=None, coefficient=COEFFICIENT):
    assert steps
    for step in steps:
        task, penalty = task_gradient(step, dtype), penalty_gradient(step, coefficient)
        for name, grad in step["grad"].items():
            if task[name] is None and grad is None:
                continue
            expected = task[name].double() + penalty[name]
            torch.testing.assert_close(grad.double(), expected, rtol=tolerance, atol=tolerance)


PRECISIONS = {
    "32-true": ({"precision": "32-true"}, None, 1e-6),
    "64-true": ({"precision": "64-true"}, None, 1e-12),
    "bf16-mixed": ({"precision": "bf16-mixed"}, torch.bfloat16, 2e-3),
    "16-mixed": ({}, torch.float16, 1e-3),
}


def precision(name):
    options, dtype, tolerance = PRECISIONS[name]
    if name == "16-mixed":
        scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3)
        options = {"plugins": [MixedPrecision("16-mixed", "cpu", scaler)]}
    return dict(options), dtype, tolerance
