"""A U-Net for segmentation: skip connections, concatenations and transposed convolutions are cut together."""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl import PruningReport, physics_pruning


def block(before: int, after: int) -> nn.Sequential:
    """Return a convolution with batch norm."""
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


class UNet(L.LightningModule):
    """One step down, one step up; the mask is where a picture is bright on a large scale."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.down, self.middle = block(1, width), block(width, 2 * width)
        self.up, self.out = nn.ConvTranspose2d(2 * width, width, 2, stride=2), block(2 * width, width)
        self.mask = nn.Conv2d(width, 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        fine = self.down(pictures)
        coarse = self.up(self.middle(nn.functional.max_pool2d(fine, 2)))
        return torch.as_tensor(self.mask(self.out(torch.cat([fine, coarse], dim=1))))

    def training_step(self, batch: list[Tensor]) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(self(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor]) -> None:
        found, wanted = self(batch[0]) > 0, batch[1] > 0
        self.log("val_iou", (found & wanted).sum() / (found | wanted).sum().clamp(min=1))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def main(epochs: int = 15, count: int = 128) -> PruningReport:
    """Keep 40 % of the MACs; return the report."""
    L.seed_everything(0, verbose=False)
    smooth = nn.functional.interpolate(torch.rand(count, 1, 4, 4), scale_factor=4, mode="bilinear")
    pictures = TensorDataset(smooth + 0.2 * torch.randn_like(smooth), (smooth > 0.5).float())
    callbacks = physics_pruning(
        "torque", target={"macs": 0.4}, finetune_epochs=max(1, epochs // 3), monitor="val_iou", mode="max"
    )
    trainer = L.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=callbacks)
    trainer.fit(UNet(), DataLoader(pictures, 16, shuffle=True), DataLoader(pictures, 32))
    return callbacks.report


if __name__ == "__main__":
    print(main().table())
