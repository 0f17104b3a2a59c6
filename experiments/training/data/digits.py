"""Scikit-learn's handwritten digits, for demonstrations and tests."""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.training.data.pictures import PictureData
from experiments.training.data.splits import place_in_class
from experiments.training.data.tensors import Split


class Digits(PictureData):
    """Scikit-learn's 1,797 handwritten digits, 8 x 8 pixels of 0 .. 16, inside the package: nothing is downloaded.

    Of every class each fifth picture is for testing and the one after it for validation: 1,071 / 362 / 364 pictures.
    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998.
    """

    shape = (1, 8, 8)
    classes = 10

    def load(self) -> dict[str, Split]:
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        return stratified_split(torch.tensor(images).to(torch.uint8).view(-1, *self.shape), torch.tensor(labels))


def stratified_split(images: Tensor, labels: Tensor) -> dict[str, Split]:
    """Split by place within the class, so that the split is fixed and every class has its share."""
    place = place_in_class(labels) % 5
    chosen = {"train": place > 1, "val": place == 1, "test": place == 0}
    return {name: Split(images[rows], labels[rows]) for name, rows in chosen.items()}
