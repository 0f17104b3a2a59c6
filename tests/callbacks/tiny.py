"""A network small enough to follow by hand, its trace written down, and a Lightning module around it."""

import math

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl.channels import ChannelGroup, Slice
from physprune_pl.tracing_types import MixingCall, Trace

BATCH = 4


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
        calls=tuple(MixingCall(f"{name}.weight", 0, 1, 1) for name in ("one", "two", "three")),
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
