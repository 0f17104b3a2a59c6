"""Small picture sets, tensors first: one tensor per split, batched and augmented as tensors.

Shape legend: N pictures, B pictures of a batch, C colours, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

Batch = tuple[Tensor, Tensor]
SeededBatch = tuple[Tensor, Tensor, int]


@dataclass(frozen=True)
class Pictures(Dataset[SeededBatch]):
    """One split: ``images`` uint8 [N, C, H, W] and ``labels`` int64 [N]; indexed by whole batches."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, batch: tuple[list[int], int]) -> SeededBatch:
        indices, seed = batch
        return self.images[indices], self.labels[indices], seed


class BatchOrder(Sampler[tuple[list[int], int]]):
    """Batches of indices, each with a seed for its augmentation, drawn from (seed, epoch) alone.

    Lightning calls ``set_epoch``, also after a resume, so an epoch repeats whatever ran before it.
    """

    def __init__(self, size: int, batch_size: int, seed: int, shuffle: bool) -> None:
        self.size, self.batch_size, self.seed, self.shuffle = size, batch_size, seed, shuffle
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[tuple[list[int], int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.size, generator=generator) if self.shuffle else torch.arange(self.size)
        for indices in torch.split(order, self.batch_size):
            yield indices.tolist(), int(torch.randint(2**62, (), generator=generator))


def random_shift(images: Tensor, pixels: int, seed: int) -> Tensor:
    """Shift every picture [B, C, H, W] by up to ``pixels`` in both directions; the border fills with zeros."""
    size, _, height, width = images.shape
    offset = torch.randint(2 * pixels + 1, (2, size, 1), generator=torch.Generator().manual_seed(seed))
    offset = offset.to(images.device)
    rows = torch.arange(height, device=images.device) + offset[0]
    columns = torch.arange(width, device=images.device) + offset[1]
    padded = torch.nn.functional.pad(images, (pixels,) * 4)
    sample = torch.arange(size, device=images.device)[:, None, None]
    return padded[sample, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


class PictureData(L.LightningDataModule):
    """Train, validation and test splits of one picture set; a subclass says what the set is in ``load``.

    Args:
        batch_size: pictures of a training batch; evaluation takes four times as many.
        shift: largest random shift in pixels while training, 0 for none.
        seed: start of the order of the pictures and of the shifts.
    """

    shape: ClassVar[tuple[int, int, int]]
    classes: ClassVar[int]

    def __init__(self, batch_size: int = 32, shift: int = 1, seed: int = 0) -> None:
        super().__init__()
        if batch_size < 1 or shift < 0:
            raise ValueError(f"batch_size must be at least 1 and shift at least 0, got {batch_size} and {shift}")
        self.batch_size, self.shift, self.seed = batch_size, shift, seed
        self.splits: dict[str, Pictures] = {}

    def load(self) -> dict[str, Pictures]:
        """Return the splits named train, val and test."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002 - the name is Lightning's
        if not self.splits:
            self.splits = self.load()
            train = self.splits["train"].images.double()
            self.mean, self.std = float(train.mean()), float(train.std())

    def train_dataloader(self) -> DataLoader[SeededBatch]:
        return self._loader("train", self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[SeededBatch]:
        return self._loader("val", 4 * self.batch_size)

    def test_dataloader(self) -> DataLoader[SeededBatch]:
        return self._loader("test", 4 * self.batch_size)

    def _loader(self, split: str, batch_size: int, shuffle: bool = False) -> DataLoader[SeededBatch]:
        pictures = self.splits[split]
        order = BatchOrder(len(pictures), batch_size, self.seed, shuffle)
        # batch_size=None: the sampler's items are whole batches, so nothing is collated picture by picture.
        return DataLoader(pictures, sampler=order, batch_size=None)

    def on_after_batch_transfer(self, batch: SeededBatch, dataloader_idx: int) -> Batch:  # noqa: ARG002
        training = self.trainer is not None and self.trainer.training
        return self.prepare(batch, augment=training)

    def prepare(self, batch: SeededBatch, augment: bool = False) -> Batch:
        """Scale the pictures to mean 0 and deviation 1 of the training split, shifted first when augmenting."""
        images, labels, seed = batch
        if augment and self.shift:
            images = random_shift(images, self.shift, seed)
        return (images.float() - self.mean) / self.std, labels


class Digits(PictureData):
    """Scikit-learn's 1,797 handwritten digits, 8 x 8 pixels of 0 .. 16, inside the package: nothing is downloaded.

    Of every class each fifth picture is for testing and the one after it for validation: 1,071 / 362 / 364 pictures.
    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998.
    """

    shape = (1, 8, 8)
    classes = 10

    def load(self) -> dict[str, Pictures]:
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        return stratified_split(torch.tensor(images).to(torch.uint8).view(-1, *self.shape), torch.tensor(labels))


def stratified_split(images: Tensor, labels: Tensor) -> dict[str, Pictures]:
    """Split by place within the class, so that the split is fixed and every class has its share."""
    same_class = labels[:, None] == labels[None, :]
    place = same_class.tril(diagonal=-1).sum(dim=1) % 5
    chosen = {"train": place > 1, "val": place == 1, "test": place == 0}
    return {name: Pictures(images[rows], labels[rows]) for name, rows in chosen.items()}
