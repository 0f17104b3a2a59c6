"""Augmentation by whole batches against plain loops over pictures, and against torchvision's own in distribution."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor
from torchvision.transforms import v2

from experiments.training.data import Digits
from experiments.training.data.augmentation import random_cutout, random_flip, random_mixup, random_shift
from experiments.training.data.pictures import colour_statistics

ALL = {"shift": 2, "flip": 0.5, "cutout": 3, "mixup": 0.4}


def seeded(seed: int = 7) -> Generator:
    return Generator().manual_seed(seed)


def test_shift_equals_a_loop_over_pictures() -> None:
    images = torch.arange(5 * 2 * 3 * 4).view(5, 2, 3, 4)
    offset = torch.randint(3, (2, 5, 1), generator=seeded())
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    expected = torch.stack(
        [
            padded[i, :, int(offset[0, i]) : int(offset[0, i]) + 3, int(offset[1, i]) : int(offset[1, i]) + 4]
            for i in range(5)
        ]
    )
    assert torch.equal(random_shift(images, 1, seeded()), expected)


def test_flip_equals_a_loop_over_pictures() -> None:
    images = torch.arange(9 * 2 * 3 * 4).view(9, 2, 3, 4)
    chosen = torch.rand(9, generator=seeded())
    expected = [image.flip(-1) if draw < 0.3 else image for image, draw in zip(images, chosen, strict=True)]
    assert torch.equal(random_flip(images, 0.3, seeded()), torch.stack(expected))
    assert 0 < (chosen < 0.3).sum() < 9


@pytest.mark.parametrize("side", [1, 2, 3, 20])
def test_cutout_equals_a_loop_over_pixels(side: int) -> None:
    images = torch.rand(20, 2, 5, 7) + 1
    generator = seeded()
    rows, columns = (torch.randint(pixels, (20, 1), generator=generator) for pixels in (5, 7))
    expected = images.clone()
    for i in range(20):
        for y in range(int(rows[i]) - side // 2, int(rows[i]) - side // 2 + side):
            for x in range(int(columns[i]) - side // 2, int(columns[i]) - side // 2 + side):
                if 0 <= y < 5 and 0 <= x < 7:
                    expected[i, :, y, x] = 0
    assert torch.equal(random_cutout(images, side, seeded()), expected)
    assert {int(row) for row in rows} == set(range(5))


def test_mixup_equals_a_loop_over_pairs() -> None:
    images, answers = torch.rand(6, 2, 3, 4), torch.eye(6)
    mixed, shares = random_mixup(images, answers, 0.5, seeded())
    partner = torch.randperm(6, generator=seeded())
    for i, j in enumerate(partner.tolist()):
        share = 1.0 if i == j else float(shares[i, i])
        assert torch.allclose(mixed[i], share * images[i] + (1 - share) * images[j])
        assert torch.allclose(shares[i], share * answers[i] + (1 - share) * answers[j])


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0, 5.0])
def test_shares_of_mixup_follow_the_beta_distribution(alpha: float) -> None:
    count = 20_000
    images = torch.zeros(count, 1, 1, 1)
    images[::2] = 1
    mixed, shares = random_mixup(images, torch.cat([images, 1 - images], dim=1)[:, :, 0, 0], alpha, seeded())
    assert torch.allclose(shares.sum(dim=1), torch.ones(count))
    assert torch.allclose(mixed.flatten(), shares[:, 0])
    partner = torch.randperm(count, generator=Generator().manual_seed(7))
    share = mixed.flatten()[(images.flatten() == 1) & (images.flatten()[partner] == 0)].double()
    # Mean 1/2 and variance 1 / (4 (2 alpha + 1)) of Beta(alpha, alpha), within four standard errors of the mean.
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(share.mean() - 0.5) < 4 * (variance / len(share)) ** 0.5
    assert share.var() == pytest.approx(variance, rel=0.05)


def prepared(seed: int, images: Tensor, labels: Tensor, **settings: Any) -> tuple[Tensor, Tensor]:
    data = Digits(**settings)
    data.setup()
    return data.prepare((images, labels, seed), augment=True)


def test_the_seed_of_the_batch_decides_all_of_it() -> None:
    images, labels = torch.randint(17, (30, 1, 8, 8), dtype=torch.uint8), torch.randint(10, (30,))
    inputs, answers = prepared(1, images, labels, **ALL)
    torch.rand(5), np.random.default_rng().random()
    again = prepared(1, images, labels, **ALL)
    assert torch.equal(inputs, again[0])
    assert torch.equal(answers, again[1])
    assert not torch.equal(inputs, prepared(2, images, labels, **ALL)[0])
    assert answers.shape == (30, 10)
    assert torch.allclose(answers.sum(dim=1), torch.ones(30))
    assert torch.nn.functional.cross_entropy(torch.zeros(30, 10), answers) == pytest.approx(np.log(10))


def test_what_is_off_changes_nothing() -> None:
    data = Digits(shift=0)
    data.setup()
    images, labels = data.splits["train"].inputs[:9], data.splits["train"].labels[:9]
    plain, augmented = (data.prepare((images, labels, 3), augment=augment) for augment in (False, True))
    assert torch.equal(plain[0], augmented[0])
    assert torch.equal(plain[1], augmented[1])


def test_cutout_blanks_with_the_mean_colour() -> None:
    data = Digits(shift=0, cutout=20)
    data.setup()
    images, labels = data.splits["train"].inputs[:9], data.splits["train"].labels[:9]
    blank, _ = data.prepare((images, labels, 3), augment=True)
    assert (blank == 0).float().mean() > 0.9


@pytest.mark.parametrize("arguments", [{"shift": -1}, {"flip": 1.5}, {"cutout": -2}, {"mixup": -0.1}])
def test_impossible_settings_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}: expected"):
        Digits(**arguments)


def test_a_batch_needs_a_sample() -> None:
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        Digits(batch_size=0)


def test_colour_statistics_are_those_of_the_pixels() -> None:
    images = torch.randint(256, (50, 3, 6, 5), dtype=torch.uint8)
    images[:, 1] //= 3
    mean, deviation = colour_statistics(images)
    pixels = images.double().movedim(1, 0).flatten(1)
    assert torch.allclose(mean.flatten().double(), pixels.mean(dim=1))
    assert torch.allclose(deviation.flatten().double(), pixels.std(dim=1, correction=0))


def by_batches(images: Tensor) -> Tensor:
    generator = seeded(11)
    return random_flip(random_shift(images, 2, generator), 0.5, generator)


def by_pictures(images: Tensor) -> Tensor:
    torch.manual_seed(11)
    change = v2.Compose([v2.RandomCrop(13, padding=2), v2.RandomHorizontalFlip()])
    return torch.stack([change(image) for image in images])


def outcomes(change: Callable[[Tensor], Tensor]) -> Tensor:
    """Count where one pixel of 5,000 pictures ends: [shift of the row, flip and shift of the column]."""
    images = torch.zeros(5000, 1, 13, 13, dtype=torch.uint8)
    images[:, :, 6, 3] = 1
    changed = change(images)
    assert changed.sum() == len(images)
    counts = changed.sum(dim=(0, 1))
    # Unflipped the column is 3 ± 2, flipped it is 9 ± 2: all fifty outcomes end at a pixel of their own.
    reached = torch.cat([counts[4:9, 1:6], counts[4:9, 7:12]], dim=1)
    assert reached.sum() == len(images)
    return reached.double()


def test_shift_and_flip_are_distributed_as_torchvision_has_them() -> None:
    ours, theirs = outcomes(by_batches), outcomes(by_pictures)
    # The 99.9 % quantile of chi-square with the 49 degrees of freedom of fifty equally likely outcomes.
    limit, expected = 85.4, 5000 / 50
    for counts in (ours, theirs):
        assert ((counts - expected) ** 2 / expected).sum() < limit
    assert ((ours - theirs) ** 2 / (ours + theirs)).sum() < limit
