"""A convolutional classifier that trains in a blink, and a trainer for it."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from safe_load import SAFE_LOAD
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl.callbacks.prune_and_finetune import PruneAndFinetune

HALF = {"macs": 0.5}


def net():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    )


def sgd(parameters, trainer):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def one_cycle(parameters, trainer):
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    steps = trainer.estimated_stepping_batches
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def adamw_cosine(parameters, trainer):
    optimizer = torch.optim.AdamW(parameters, lr=0.02)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=trainer.max_epochs, eta_min=1e-4)
    return {"optimizer": optimizer, "lr_scheduler": scheduler}


class Classifier(LightningModule):
    def __init__(self, make=sgd, network=net, example=True):
        super().__init__()
        self.net, self.make = network(), make
        self.example_input_array = torch.zeros(1, 1, 6, 6) if example else None
        self.configured = []

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch, batch_idx):
        output = self(batch[0])
        self.log("val_loss", nn.functional.cross_entropy(output, batch[1]))
        self.log("val_acc", (output.argmax(1) == batch[1]).float().mean())

    test_step = validation_step

    def configure_optimizers(self):
        self.configured.append(self.trainer.max_epochs)
        return self.make(filter(lambda parameter: parameter.requires_grad, self.parameters()), self.trainer)


def data():
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(48, 1, 6, 6, generator=generator), torch.arange(48) % 2
    return DataLoader(TensorDataset(x + 0.3 * y[:, None, None, None], y), batch_size=16)


def trainer(*callbacks, epochs=2, **kwargs):
    saves = any(isinstance(callback, Checkpoint) for callback in callbacks)
    quiet = {"logger": False, "enable_checkpointing": saves, "enable_progress_bar": False, "log_every_n_steps": 1}
    quiet |= {"enable_model_summary": False, "accelerator": "cpu", "devices": 1, "num_sanity_val_steps": 1}
    return Trainer(max_epochs=epochs, callbacks=list(callbacks), **quiet | kwargs)


def fit(*callbacks, model=None, epochs=2, ckpt_path=None, **kwargs):
    """Train a classifier; return it with its trainer."""
    model = Classifier() if model is None else model
    runner = trainer(*callbacks, epochs=epochs, **kwargs)
    runner.fit(model, data(), data(), ckpt_path=ckpt_path, **(SAFE_LOAD if ckpt_path else {}))
    return model, runner


def cutter(**kwargs):
    return PruneAndFinetune(**{"target": HALF, "finetune_epochs": 2} | kwargs)


class Widths(Callback):
    """Width of the first convolution at every hook that matters."""

    def __init__(self):
        self.seen = {"start": [], "end": [], "validation": []}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == 0:
            self.seen["start"].append(pl_module.net[0].out_channels)

    def on_train_epoch_end(self, trainer, pl_module):
        self.seen["end"].append(pl_module.net[0].out_channels)


class Spy(Callback):
    """Calls a function at the start of every epoch, after the callback under test."""

    def __init__(self, look):
        self.look, self.seen = look, []

    def on_train_epoch_start(self, trainer, pl_module):
        self.seen.append(self.look(trainer, pl_module))


class Saver(Checkpoint):
    """Saves at the end of every epoch, where ModelCheckpoint does."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}.ckpt")


class Zigzag(Classifier):
    """A metric that is best in the first epoch of fine-tuning."""

    def on_validation_epoch_end(self):
        self.log("score", -float(self.current_epoch))
