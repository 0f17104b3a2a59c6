"""Pictures in folders as ImageNet has them, read from disk while training.

Shape legend: N pictures of a split, B pictures of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets
from torchvision.transforms import v2

from experiments.training.data.module import Batch, LabelledData, SeededBatch, SplitName
from experiments.training.data.order import BatchOrder
from experiments.training.data.splits import TENTH, held_out

# Mean and standard deviation of ImageNet's training pictures per colour, for values in [0, 1], as torchvision has them.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# The shorter side before the middle is cut out for evaluation, as a multiple of what is cut out: 256 for 224 pixels.
MARGIN = 256 / 224


class EpochOrder(BatchOrder):
    """Batches of indices, each with the epoch instead of a seed of its own: the pictures know theirs from it."""

    def __iter__(self) -> Iterator[tuple[list[int], int]]:
        for indices, _ in super().__iter__():
            yield indices, self.epoch


@dataclass(frozen=True)
class PictureFiles(Dataset[SeededBatch]):
    """One split: files read, cut to size and stacked to uint8 [B, 3, size, size] in whole batches.

    Attributes:
        files: all pictures of a folder.
        rows: int64 [N], which of them belong to the split.
        transform: from a picture to uint8 [3, size, size]; it may draw from torch's global generator.
        seed: start of what it draws, together with the epoch and the place in ``files``: nothing else has a part in
            it, neither batch size nor number of worker processes.
    """

    files: datasets.ImageFolder
    rows: Tensor
    transform: v2.Transform
    seed: int

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, batch: tuple[list[int], int]) -> SeededBatch:
        places, epoch = batch
        rows = self.rows[places].tolist()
        labels = torch.tensor([self.files.targets[row] for row in rows])
        with torch.random.fork_rng(devices=[]):
            return torch.stack([self._picture(row, epoch) for row in rows]), labels, epoch

    def _picture(self, row: int, epoch: int) -> Tensor:
        seed = np.random.SeedSequence([self.seed, epoch, row]).generate_state(1)
        # torch.manual_seed would reach the generators of the GPUs too, which are not put back afterwards.
        torch.default_generator.manual_seed(int(seed[0]))
        picture: Tensor = self.transform(self.files.loader(self.files.samples[row][0]))
        return picture


class LateLoader(DataLoader[SeededBatch]):
    """Starts to read when the first batch is asked for.

    Lightning asks for an iterator of a resumed fit before it tells the sampler which epoch it is; workers would by
    then be reading pictures of the first one.
    """

    def __iter__(self) -> Iterator[SeededBatch]:  # type: ignore[override]
        yield from super().__iter__()


class ImageFolder(LabelledData):
    """Pictures in ``root/train/<class>/`` and ``root/val/<class>/``, the layout of ImageNet.

    Of every class each tenth training picture, in the order of the file names, is for validation; ``val`` is the test
    split. In training a random part of a picture is scaled to ``size`` pixels and mirrored or not, in evaluation its
    middle is taken. Source: the reference recipe of torchvision (Szegedy et al., arXiv:1409.4842, section 6).

    Args:
        root: folder with ``train`` and ``val``.
        size: height and width in pixels.
        batch_size: pictures of a training batch; evaluation takes four times as many.
        workers: processes that read pictures, per split; 0 reads them in the main process.
        seed: start of the order of the pictures and of their augmentation.

    Raises:
        FileNotFoundError: when ``root`` has no folders ``train/<class>`` and ``val/<class>``.
        ValueError: when the classes of the two differ, or an argument is outside its range.
    """

    def __init__(
        self, root: str | Path, size: int = 224, batch_size: int = 128, workers: int = 4, seed: int = 0
    ) -> None:
        super().__init__(batch_size, seed)
        if size < 1:
            raise ValueError(f"size: expected at least 1 pixel, got {size}")
        if workers < 0:
            raise ValueError(f"workers: expected at least 0 processes, got {workers}")
        self.root, self.workers = Path(root), workers
        self.shape, self.classes = (3, size, size), len(common_classes(self.root))
        self.splits: dict[str, PictureFiles] = {}

    def example(self, count: int) -> Tensor:
        """Return blank pictures [count, 3, size, size]."""
        return torch.zeros(count, *self.shape)

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002 - the name is Lightning's
        """List the files of all splits.

        Raises:
            ValueError: when a class has too few pictures for one of them to be held out.
        """
        if self.splits:
            return
        train, test = (datasets.ImageFolder(str(self.root / name)) for name in ("train", "val"))
        validation = held_out(enough_of_each(train))
        middle, size = middle_part(self.shape[-1]), self.shape[-1]
        self.splits = {
            "train": PictureFiles(train, (~validation).nonzero().flatten(), random_part(size), self.seed),
            "val": PictureFiles(train, validation.nonzero().flatten(), middle, self.seed),
            "test": PictureFiles(test, torch.arange(len(test)), middle, self.seed),
        }

    def loader(self, split: SplitName) -> DataLoader[SeededBatch]:
        files = self.splits[split]
        order = EpochOrder(len(files), self.size_of_batch(split), self.seed, shuffle=split == "train")
        return LateLoader(
            files,
            sampler=order,
            batch_size=None,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def prepare(self, batch: SeededBatch, augment: bool = False) -> Batch:  # noqa: ARG002 - done while reading
        """Scale every colour by ImageNet's mean and deviation; bytes travel to the device, floats would be fourfold."""
        images, labels, _ = batch
        mean, std = (images.new_tensor(values, dtype=torch.float32)[:, None, None] for values in (MEAN, STD))
        return (images / 255 - mean) / std, labels


def random_part(size: int) -> v2.Transform:
    """Return what turns a picture into a random part of it, mirrored or not, of ``size`` x ``size`` pixels."""
    return v2.Compose([v2.RandomResizedCrop(size), v2.RandomHorizontalFlip(), v2.PILToTensor()])


def middle_part(size: int) -> v2.Transform:
    """Return what turns a picture into its middle, of ``size`` x ``size`` pixels."""
    return v2.Compose([v2.Resize(round(size * MARGIN)), v2.CenterCrop(size), v2.PILToTensor()])


def common_classes(root: Path) -> list[str]:
    """Return the classes of ``root/train``, which must be those of ``root/val``."""
    train, test = (class_folders(root / name) for name in ("train", "val"))
    if train != test:
        differing = sorted({*train} ^ {*test})
        raise ValueError(f"root: expected the same classes in {root}/train and {root}/val, only one has {differing}")
    return train


def class_folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not names:
        raise FileNotFoundError(f"root: expected train/<class>/ and val/<class>/ in it, found no classes in {folder}")
    return names


def enough_of_each(files: datasets.ImageFolder) -> Tensor:
    """Return the labels [N] of a training folder in which every class has a picture to hold out."""
    labels = torch.tensor(files.targets)
    few = [name for name, count in zip(files.classes, labels.bincount().tolist(), strict=True) if count < TENTH]
    if few:
        raise ValueError(f"root: expected at least {TENTH} pictures of every class in {files.root}, fewer in {few}")
    return labels
