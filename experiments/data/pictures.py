"""Picture sets: uint8 in memory, scaled and augmented batch by batch on the device.

Shape legend: N pictures, B pictures of a batch, C colours, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.data.augmentation import random_flip, random_shift
from experiments.data.module import Batch, SeededBatch
from experiments.data.tensors import TensorData


class PictureData(TensorData):
    """Train, validation and test splits of one picture set; a subclass says what the set is in ``load``.

    Args:
        batch_size: pictures of a training batch; evaluation takes four times as many.
        shift: largest random shift in pixels while training, 0 for none.
        flip: share of the training pictures that are mirrored, 0 for none.
        seed: start of the order of the pictures and of their augmentation.

    Raises:
        ValueError: when an argument is outside its range.
    """

    shape: tuple[int, int, int]

    def __init__(self, batch_size: int = 32, shift: int = 1, flip: float = 0.0, seed: int = 0) -> None:
        super().__init__(batch_size, seed)
        if shift < 0:
            raise ValueError(f"shift: expected at least 0 pixels, got {shift}")
        if not 0 <= flip <= 1:
            raise ValueError(f"flip: expected a share in [0, 1], got {flip}")
        self.shift, self.flip = shift, flip

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        self.mean, self.std = colour_statistics(self.splits["train"].inputs)

    def example(self, count: int) -> Tensor:
        """Return blank pictures [count, C, H, W]."""
        return torch.zeros(count, *self.shape)

    def prepare(self, batch: SeededBatch, augment: bool = False) -> Batch:
        """Scale every colour to mean 0 and deviation 1 of the training split, after augmenting."""
        images, labels, seed = batch
        if augment:
            images = self._augmented(images, torch.Generator().manual_seed(seed))
        return (images.float() - self.mean.to(images.device)) / self.std.to(images.device), labels

    def _augmented(self, images: Tensor, generator: torch.Generator) -> Tensor:
        if self.shift:
            images = random_shift(images, self.shift, generator)
        if self.flip:
            images = random_flip(images, self.flip, generator)
        return images


def colour_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation per colour, [C, 1, 1] each, of uint8 pictures [N, C, H, W].

    They come from counts of the 256 values, so that no copy of the pictures in another type is made.
    """
    counts = torch.stack([images[:, colour].flatten().bincount(minlength=256) for colour in range(images.shape[1])])
    shares = counts.double() / counts.sum(dim=1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64)
    mean = (shares * values).sum(dim=1, keepdim=True)
    deviation = (shares * (values - mean) ** 2).sum(dim=1, keepdim=True).sqrt()
    return mean.float()[:, :, None], deviation.float()[:, :, None]
