"""Fits that remove channels in waves: enough steps for each of them, and the same start every time."""

import torch
from safe_load import SAFE_LOAD
from small import Classifier, trainer
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl import physics_pruning
from physprune_pl.removals import Gradual

TARGET = 0.4
EPOCHS, FINETUNED = 6, 1
WAVES = Gradual(waves=2, until=0.5)
ENDS = [1, 3]


def batches(size=4, steps=40):
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(size * steps) % 2
    images = torch.randn(size * steps, 1, 6, 6, generator=generator) + 0.3 * labels[:, None, None, None]
    return DataLoader(TensorDataset(images, labels), batch_size=size)


def initial(kind=Classifier, **kwargs):
    torch.manual_seed(0)
    return kind(**kwargs)


def pruning(removal=WAVES, **kwargs):
    return physics_pruning(**{"target": {"macs": TARGET}, "finetune_epochs": FINETUNED, "removal": removal} | kwargs)


def fit(made, *callbacks, model=None, epochs=EPOCHS, ckpt_path=None, data=None, **kwargs):
    """Fit with the callbacks of a pruning between others; return module and trainer."""
    model = initial() if model is None else model
    data = batches() if data is None else data
    runner = trainer(*callbacks, *made, epochs=epochs, **kwargs)
    runner.fit(model, data, data, ckpt_path=ckpt_path, **(SAFE_LOAD if ckpt_path else {}))
    return model, runner
