"""Picture sets: uint8 in memory, scaled and augmented batch by batch on the device.

Shape legend: N pictures, B pictures of a batch, C colours, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from experiments.training.data.augmentation import random_cutout, random_flip, random_mixup, random_shift
from experiments.training.data.module import Batch, SeededBatch
from experiments.training.data.tensors import TensorData


class PictureData(TensorData):
    """Train, validation and test splits of one picture set; a subclass says what the set is in ``load``.

    Args:
        batch_size: pictures of a training batch; evaluation takes four times as many.
        shift: largest random shift in pixels while training, 0 for none.
        flip: share of the training pictures that are mirrored, 0 for none.
        cutout: side of the square in pixels that is blanked in every training picture, 0 for none.
        mixup: parameter of the Beta distribution by which training pictures are mixed two by two, 0 for none.
        seed: start of the order of the pictures and of their augmentation.

    Raises:
        ValueError: when an argument is outside its range.
    """

    shape: tuple[int, int, int]

    def __init__(
        self,
        batch_size: int = 32,
        shift: int = 1,
        flip: float = 0.0,
        cutout: int = 0,
        mixup: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, seed)
        for name, value in {"shift": shift, "cutout": cutout, "mixup": mixup}.items():
            if value < 0:
                raise ValueError(f"{name}: expected at least 0, got {value}")
        if not 0 <= flip <= 1:
            raise ValueError(f"flip: expected a share in [0, 1], got {flip}")
        self.shift, self.flip, self.cutout, self.mixup = shift, flip, cutout, mixup

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        self.mean, self.std = self.colours()

    def colours(self) -> tuple[Tensor, Tensor]:
        """Return what is subtracted from every colour and what it is divided by, [C, 1, 1] each."""
        return colour_statistics(self.splits["train"].inputs)

    def example(self, count: int) -> Tensor:
        """Return blank pictures [count, C, H, W]."""
        return torch.zeros(count, *self.shape)

    def prepare(self, batch: SeededBatch, augment: bool = False) -> Batch:
        """Scale the colours, and the pictures to their ``shape``, between the steps of augmentation."""
        images, labels, seed = batch
        if not augment:
            return self._scaled(images), labels
        generator = Generator().manual_seed(seed)
        return self._blended(self._scaled(self._moved(images, generator)), labels, generator)

    def _scaled(self, images: Tensor) -> Tensor:
        pictures = (images.float() - self.mean.to(images.device)) / self.std.to(images.device)
        if pictures.shape[-2:] == self.shape[-2:]:
            return pictures
        return nn.functional.interpolate(pictures, self.shape[-2:], mode="bilinear", antialias=True)

    def _moved(self, images: Tensor, generator: Generator) -> Tensor:
        if self.shift:
            images = random_shift(images, self.shift, generator)
        if self.flip:
            images = random_flip(images, self.flip, generator)
        return images

    def _blended(self, images: Tensor, labels: Tensor, generator: Generator) -> Batch:
        """Blank and mix scaled pictures: here zero is the mean colour, as in both papers."""
        if self.cutout:
            images = random_cutout(images, self.cutout, generator)
        if not self.mixup:
            return images, labels
        return random_mixup(images, nn.functional.one_hot(labels, self.classes).float(), self.mixup, generator)


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
