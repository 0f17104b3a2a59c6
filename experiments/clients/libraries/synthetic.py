"""Tiny data sets with something to learn in them, the same ones every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

SAMPLES, BATCH = 128, 16


class Samples(Dataset[Any]):
    """A list of samples as a data set."""

    def __init__(self, samples: Sequence[Any]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        """Return one sample."""
        return self.samples[index]


def generator(seed: int) -> torch.Generator:
    """Return a generator of its own, so that data never depend on what ran before."""
    return torch.Generator().manual_seed(seed)


def loader(samples: Sequence[Any], *, shuffle: bool = False, batch: int = BATCH, **more: Any) -> DataLoader[Any]:
    """Return a loader over samples."""
    return DataLoader(Samples(samples), batch_size=batch, shuffle=shuffle, **more)


def both(
    samples: Callable[[int, int], Sequence[Any]], count: int = SAMPLES, **more: Any
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return the builders of a shuffled training loader and of a validation loader of half its size.

    Args:
        samples: of a number of samples and a seed.
        count: of training samples.
        more: for the loaders.
    """
    return (
        lambda: loader(samples(count, 1), shuffle=True, **more),
        lambda: loader(samples(count // 2, 2), **more),
    )


def pictures(count: int, seed: int, size: int = 16, noise: float = 1.5) -> list[tuple[Tensor, Tensor]]:
    """Return pictures [3, size, size] and their classes, with so much noise that some are hard to tell."""
    seen, labels, _ = blobs(count, seed, size, noise=noise)
    return list(zip(seen, labels, strict=True))


def blobs(count: int, seed: int, size: int = 32, noise: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    """Return noisy pictures [count, 3, size, size] with one bright square, the channel it is in and its mask."""
    random = generator(seed)
    pictures = noise * torch.randn(count, 3, size, size, generator=random)
    labels = torch.randint(3, (count,), generator=random)
    masks = torch.zeros(count, size, size, dtype=torch.long)
    for picture, label, mask in zip(pictures, labels.tolist(), masks, strict=True):
        row, column = torch.randint(size // 2, (2,), generator=random).tolist()
        place = (slice(row, row + size // 2), slice(column, column + size // 2))
        picture[label][place] += 1.0
        mask[place] = 1
    return pictures, labels, masks


def waves(count: int, seed: int, length: int, channels: int = 1) -> Tensor:
    """Return noisy sums of two sines of random phase [count, length, channels]."""
    random = generator(seed)
    steps = torch.arange(length)[None, :, None]
    phases = 6.28 * torch.rand(2, count, 1, channels, generator=random)
    clean = torch.sin(steps / 3.0 + phases[0]) + 0.5 * torch.sin(steps / 7.0 + phases[1])
    return clean + 0.1 * torch.randn(count, length, channels, generator=random)


def tables(count: int, seed: int, columns: int = 8) -> tuple[Tensor, Tensor]:
    """Return rows [count, columns] and a number each that depends on some of them in bends."""
    rows = torch.randn(count, columns, generator=generator(seed))
    return rows, torch.sin(rows[:, 0]) + rows[:, 1] * rows[:, 2] - 0.5 * rows[:, 3].abs()
