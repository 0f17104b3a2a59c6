"""Modules of one step, and a callback that records it as the callbacks of a fit do."""

import torch
from lightning.pytorch import Callback, LightningModule
from tiny import Net, trainer
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl.callbacks.session.real_call import RealCall
from physprune_pl.callbacks.trainer.next_step import step_of

X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))


Y = torch.randn(12, 2, generator=torch.Generator().manual_seed(1))


def batches():
    return DataLoader(TensorDataset(X, Y), batch_size=4)


class Base(LightningModule):
    def __init__(self):
        super().__init__()
        self.net = Net()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Look(Callback):
    """Records the first step, as the callbacks of a fit do."""

    def __init__(self, module=None):
        self.module, self.found, self.copies = module, None, None

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if self.found is None:
            real = RealCall(trainer, pl_module, self.module)
            self.found = real.example(step_of(trainer, batch, batch_idx))
            self.copies = real.copy()


def found(module, name=None, data=None, **kwargs):
    look = Look(name)
    trainer(look, epochs=1, **kwargs).fit(module, batches() if data is None else data)
    return look


class Plain(Base):
    def training_step(self, batch, batch_idx):
        return F.mse_loss(self.net(batch[0]), batch[1])


class Parts(Base):
    def training_step(self, batch, batch_idx):
        hidden = torch.tanh(self.net.one(batch[0]))
        return F.mse_loss(self.net.three(torch.tanh(self.net.two(hidden))), batch[1])
