"""A ResNet of torchvision on pictures in folders: DATA/train/CLASS/*.png and DATA/val/CLASS/*.png."""

from __future__ import annotations

import argparse
from pathlib import Path

import lightning as L
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18

from experiments.examples.digits import Batch, Classifier
from physprune_pl import PruningReport, physics_pruning


class Pictures(L.LightningDataModule):
    """Pictures of one size, augmented by a flip in training."""

    def __init__(self, folder: str | Path, size: int, batch_size: int) -> None:
        super().__init__()
        plain = [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(0.5, 0.25)]
        flipped = transforms.Compose([transforms.RandomHorizontalFlip(), *plain])
        self.train, self.val = ImageFolder(Path(folder) / "train", flipped), ImageFolder(Path(folder) / "val")
        self.val.transform, self.batch_size = transforms.Compose(plain), batch_size

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.train, self.batch_size, shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.val, self.batch_size)


def main(folder: str | Path, epochs: int = 30, size: int = 224, batch_size: int = 64) -> PruningReport:
    """Keep 40 % of the MACs of a ResNet-18, channels in multiples of 8; return the report."""
    data = Pictures(folder, size, batch_size)
    callbacks = physics_pruning(
        "exponential",
        target={"macs": 0.4},
        round_to=8,
        finetune_epochs=max(1, epochs // 3),
        monitor="val_acc",
        mode="max",
    )
    trainer = L.Trainer(max_epochs=epochs, callbacks=callbacks)
    # To start from published weights: resnet18(weights="DEFAULT") with an fc of your own.
    trainer.fit(Classifier(resnet18(num_classes=len(data.train.classes)), lr=0.01), datamodule=data)
    return callbacks.report


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", help="with train/ and val/")
    arguments.add_argument("--epochs", type=int, default=30)
    options = arguments.parse_args()
    print(main(options.folder, options.epochs).table())
