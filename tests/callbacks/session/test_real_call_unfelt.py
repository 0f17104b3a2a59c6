"""The recording of a training step is not felt by the fit: states, random numbers, logs and batches are as without."""

import copy
import random

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from recorded_steps import Base, Look, Plain, X, Y, batches, found
from tiny import Module, trainer
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl.callbacks.session.step_replay import StepReplay
from physprune_pl.networks.calls import Calls
from physprune_pl.networks.nested import tensors_in


class Notes(Logger):
    def __init__(self):
        super().__init__()
        self.metrics, self.pictures = [], []

    name, version = "notes", 0

    @property
    @rank_zero_experiment
    def experiment(self):
        return self

    def log_hyperparams(self, *args):
        pass

    def log_metrics(self, metrics, step=None):
        self.metrics.append((step, dict(metrics)))

    def add_image(self, name, step):
        self.pictures.append((name, step))


class Counter:
    def __init__(self):
        self.seen = []


class Everything(Base):
    """A step that leaves marks wherever a step can."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.norm, self.counter, self.losses, self.steps = nn.BatchNorm1d(2), Counter(), [], 0
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.register_buffer("queue", torch.zeros(8, 2))
        self.seen = {}
        self.net.one.register_forward_hook(lambda module, args, output: self.seen.update(one=output))
        self.generator = torch.Generator().manual_seed(5)

    def training_step(self, batch, batch_idx):
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + self.steps)
        noise = (
            torch.rand(batch[0].shape, generator=self.generator) + random.random() + np.random.rand() + torch.rand(())
        )
        output = self.norm(self.net.three(self.net.two(torch.tanh(self.net.one(batch[0] + noise)))))
        loss = F.mse_loss(output, batch[1]) + 0.01 * self.seen["one"].pow(2).mean()
        self.toggle_optimizer(optimizer)
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.clip_gradients(optimizer, 1.0, "norm")
        optimizer.step()
        schedule.step()
        self.untoggle_optimizer(optimizer)
        self.steps += 1
        self.losses.append(loss.detach())
        self.counter.seen.append(float(loss.detach()))
        self.queue[: len(output)] = output.detach()
        self.log("loss", loss, prog_bar=True, on_step=True, on_epoch=True)
        self.logger.experiment.add_image("x", self.global_step)
        self.print("step", batch_idx)
        print("plain", batch_idx)
        if self.trainer.current_epoch:
            self.trainer.should_stop = True

    def on_train_batch_end(self, outputs, batch, batch_idx):
        with torch.no_grad():
            for one, other in zip(self.net.parameters(), self.average.parameters(), strict=True):
                other.lerp_(one, 0.1)

    def configure_optimizers(self):
        optimizer = torch.optim.Adam([*self.net.parameters(), *self.norm.parameters()], lr=0.1)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]


def marks(capsys, *callbacks):
    torch.manual_seed(7), random.seed(7), np.random.seed(7)
    module, notes = Everything(), Notes()
    runner = trainer(*callbacks, epochs=3, logger=[notes])
    runner.fit(module, DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True))
    state = runner.optimizers[0].state_dict()
    return [
        module.state_dict(), state, module.losses, module.counter.seen, module.steps, module.generator.get_state(),
        notes.metrics, notes.pictures, runner.callback_metrics, runner.global_step, runner.current_epoch,
        torch.rand(1), random.random(), np.random.rand(), capsys.readouterr().out,
    ]  # fmt: skip


def test_no_mark_of_a_step_is_another_because_it_was_recorded(capsys):
    plain, look = marks(capsys), Look()
    recorded = marks(capsys, look)
    assert isinstance(look.found, StepReplay)
    with torch.no_grad():
        for size in (2, 3):
            look.found.sized(size).run(look.copies[1])
    assert str(plain) == str(recorded)
    assert all(torch.equal(a, b) for a, b in zip(tensors_in(plain), tensors_in(recorded), strict=True))


class Streams(torch.utils.data.IterableDataset):
    opened = 0

    def __iter__(self):
        Streams.opened += 1
        yield from ((X[k : k + 4], Y[k : k + 4]) for k in (0, 4, 8))


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_stream_is_not_opened_again():
    Streams.opened = 0
    look = found(Plain(), data=DataLoader(Streams(), batch_size=None))
    assert look.found is not None
    assert Streams.opened == 1


class Asks(Base):
    """The step asks for its batch itself."""

    def __init__(self):
        super().__init__()
        self.got = []

    def training_step(self, dataloader_iter):
        batch, batch_idx, _ = next(dataloader_iter)
        self.got.append((batch_idx, batch[0]))
        return F.mse_loss(self.net(batch[0]), batch[1])


@pytest.mark.filterwarnings("ignore:.*`dataloader_iter`")
def test_a_step_that_asks_for_its_batch_gets_every_batch():
    module = Asks()
    look = found(module)
    assert torch.equal(look.found.args[0].args[0], X[:4])
    assert [index for index, _ in module.got] == [0, 1, 2]
    assert torch.equal(torch.cat([x for _, x in module.got]), X)


def test_a_real_logger_gets_nothing_from_the_recording(tmp_path):
    class Logs(Plain):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            self.log("loss", loss)
            return loss

    rows = []
    for callbacks in ((), (Look(),)):
        torch.manual_seed(3)
        logger = CSVLogger(tmp_path / str(len(rows)))
        trainer(*callbacks, epochs=1, logger=logger).fit(Logs(), batches())
        rows.append(str(logger.experiment.metrics))
    assert rows[0] == rows[1]


def test_a_module_that_is_no_lightning_module_keeps_its_place():
    assert isinstance(found(Module(), data=None).found, Calls)
