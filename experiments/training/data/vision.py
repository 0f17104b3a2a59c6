"""Picture sets that torchvision knows: downloaded once, then held in memory as one tensor per split."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor
from torchvision import datasets

from experiments.training.data.pictures import PictureData
from experiments.training.data.splits import held_out
from experiments.training.data.tensors import Split
from physprune_pl.tools.choices import unknown

Normalisation = Literal["data", "imagenet", "half"]
# Mean and deviation of the colours between 0 and 1 that networks trained before expect: those of ImageNet (torchvision,
# most of timm), and one half (EfficientNet-Lite, Inception, most vision transformers).
KNOWN = {"imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), "half": ((0.5,) * 3, (0.5,) * 3)}
LARGEST = 255


class VisionData(PictureData):
    """A set of torchvision; of every class each tenth training picture is for validation, the test split is its own.

    Args:
        root: folder of the files, laid out as torchvision does; what is not there is downloaded.
        batch_size: pictures of a training batch.
        shift: largest random shift in pixels while training.
        flip: share of the training pictures that are mirrored.
        cutout: side of the square in pixels that is blanked in every training picture.
        mixup: parameter of the Beta distribution by which training pictures are mixed two by two.
        seed: start of the order of the pictures and of their augmentation.
        verify: whether the files must be the published ones, bit for bit; False accepts a re-encoded copy.
        size: height and width in pixels that the pictures are scaled to, None for as they are; shifts are before it.
        normalisation: ``"data"`` for mean 0 and deviation 1 of the training split, or what a network that was trained
            before expects: ``"imagenet"``, or ``"half"`` for colours between -1 and 1.

    Raises:
        ValueError: when an argument is outside its range.
    """

    source: ClassVar[Any]
    folder: ClassVar[str]

    def __init__(
        self,
        root: str | Path = "data",
        batch_size: int = 128,
        shift: int = 4,
        flip: float = 0.5,
        cutout: int = 0,
        mixup: float = 0.0,
        seed: int = 0,
        verify: bool = True,
        size: int | None = None,
        normalisation: Normalisation = "data",
    ) -> None:
        super().__init__(batch_size, shift, flip, cutout, mixup, seed)
        if size is not None and size < 1:
            raise ValueError(f"size: expected at least 1 pixel, or null, got {size}")
        if normalisation not in get_args(Normalisation):
            raise ValueError(unknown("normalisation", normalisation, get_args(Normalisation)))
        colours, height, width = type(self).shape
        if normalisation != "data" and colours != len(KNOWN[normalisation][0]):
            raise ValueError(f"normalisation: {normalisation} is for 3 colours, the pictures have {colours}; take data")
        self.root, self.verify, self.normalisation = Path(root), verify, normalisation
        self.shape = (colours, size or height, size or width)

    def prepare_data(self) -> None:
        """Download the set unless its folder is there already."""
        if not (self.root / self.folder).exists():
            self.source(self.root, download=True)

    def load(self) -> dict[str, Split]:
        images, labels = self._read(train=True)
        validation = held_out(labels)
        return {
            "train": Split(images[~validation], labels[~validation]),
            "val": Split(images[validation], labels[validation]),
            "test": Split(*self._read(train=False)),
        }

    def colours(self) -> tuple[Tensor, Tensor]:
        if self.normalisation == "data":
            return super().colours()
        mean, deviation = (LARGEST * torch.tensor(one)[:, None, None] for one in KNOWN[self.normalisation])
        return mean, deviation

    def _read(self, train: bool) -> tuple[Tensor, Tensor]:
        """Return pictures uint8 [N, C, H, W] and labels [N].

        Raises:
            RuntimeError: when files are missing, or are not the published ones and ``verify`` is set.
        """
        source = self.source if self.verify else unverified(self.source)
        try:
            found = source(self.root, train=train)
        except RuntimeError as error:
            raise RuntimeError(
                f"data.root={self.root}: {self.folder} is incomplete or not the published copy; remove the folder to "
                "download it anew, or set data.verify=false to use a re-encoded copy as it is"
            ) from error
        images = torch.as_tensor(found.data)
        return images.reshape(len(images), *self._stored()).movedim(-1, 1).contiguous(), torch.as_tensor(found.targets)

    def _stored(self) -> tuple[int, int, int]:
        colours, height, width = type(self).shape
        return height, width, colours


def unverified(source: Any) -> Any:
    """Return a torchvision set that accepts files whatever their md5 sum; sets without sums are returned as they are.

    Torchvision compares the sums in its class attributes, and takes None there as "any file of that name".
    """
    if not hasattr(source, "train_list"):
        return source
    lists = {name: [[file, None] for file, _ in getattr(source, name)] for name in ("train_list", "test_list")}
    return type(source.__name__, (source,), {**lists, "meta": {**source.meta, "md5": None}})


class MNIST(VisionData):
    """Handwritten digits, 28 x 28 grey pixels: 54,000 / 6,000 / 10,000 pictures, about.

    Source: LeCun et al., Gradient-based learning applied to document recognition, 1998.
    """

    shape, classes = (1, 28, 28), 10
    source, folder = datasets.MNIST, "MNIST"


class FashionMNIST(VisionData):
    """Clothes, 28 x 28 grey pixels: 54,000 / 6,000 / 10,000 pictures.

    Source: Xiao et al., arXiv:1708.07747.
    """

    shape, classes = (1, 28, 28), 10
    source, folder = datasets.FashionMNIST, "FashionMNIST"


class CIFAR10(VisionData):
    """Ten kinds of things, 32 x 32 colour pixels: 45,000 / 5,000 / 10,000 pictures.

    Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """

    shape, classes = (3, 32, 32), 10
    source, folder = datasets.CIFAR10, "cifar-10-batches-py"


class CIFAR100(VisionData):
    """A hundred kinds of things, 32 x 32 colour pixels: 45,000 / 5,000 / 10,000 pictures.

    Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """

    shape, classes = (3, 32, 32), 100
    source, folder = datasets.CIFAR100, "cifar-100-python"
