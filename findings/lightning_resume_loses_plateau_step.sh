#!/usr/bin/env bash
# lightning 2.6.6: a resume from the checkpoint of an epoch loses the step of ReduceLROnPlateau of that epoch.
# Expected: the learning rates of the resumed fit are those of the fit that was not interrupted. Seen: full fit 1.0, 1.0,
# 0.5, 0.25; resumed after its first epoch 1.0, 1.0, 0.5 instead of 1.0, 0.5, 0.25. ModelCheckpoint saves before the
# scheduler is stepped, and the resumed fit does not make up for it, so each interruption delays the schedule by an epoch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet lightning==2.6.6 torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset


class Flat(L.LightningModule):
    """Never gets better, so that its rate is halved after every epoch but the first."""

    def __init__(self):
        super().__init__()
        self.layer, self.rates = torch.nn.Linear(1, 1), []

    def training_step(self, batch, batch_idx):
        return self.layer(batch[0]).mean() * 0

    def validation_step(self, batch, batch_idx):
        self.log("loss", torch.tensor(1.0))

    def on_train_epoch_start(self):
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
        plateau = ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "loss"}}


def rates_of(checkpoint=None):
    module, data = Flat(), DataLoader(TensorDataset(torch.ones(4, 1)), 2)
    saving = ModelCheckpoint("saved" if checkpoint is None else "resumed", filename="{epoch}", save_top_k=-1)
    trainer = L.Trainer(
        max_epochs=4, callbacks=[saving], logger=False, accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, data, data, ckpt_path=checkpoint)
    return module.rates


whole, resumed = rates_of(), rates_of("saved/epoch=0.ckpt")
print("whole:", whole, "resumed after the first epoch:", resumed)
assert whole == [1.0, 1.0, 0.5, 0.25]
assert resumed == [1.0, 1.0, 0.5]
PYTHON
