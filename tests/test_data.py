"""Splits, batches and augmentation of the experiments' picture sets."""

from typing import Any

import lightning as L
import pytest
import torch

from experiments.data import BatchOrder, Digits, PictureData
from experiments.data.augmentation import random_shift
from experiments.data.digits import stratified_split


@pytest.fixture(scope="module")
def digits() -> Digits:
    data = Digits()
    data.setup()
    return data


def test_splits_are_disjoint_complete_and_stratified(digits: Digits) -> None:
    sizes = {name: len(split) for name, split in digits.splits.items()}
    assert sizes == {"train": 1071, "val": 362, "test": 364}
    assert sum(sizes.values()) == 1797
    for split in digits.splits.values():
        counts = split.labels.bincount(minlength=10)
        assert counts.max() - counts.min() <= 5
        assert split.inputs.dtype == torch.uint8
        assert split.inputs.shape[1:] == Digits.shape
        assert split.inputs.max() == 16


def test_split_goes_by_place_within_the_class() -> None:
    labels = torch.tensor([0, 1, 0, 0, 1, 0, 0, 0])
    splits = stratified_split(torch.arange(8), labels)
    assert splits["test"].inputs.tolist() == [0, 1, 7]
    assert splits["val"].inputs.tolist() == [2, 4]
    assert splits["train"].inputs.tolist() == [3, 5, 6]


def test_an_epoch_is_drawn_from_seed_and_epoch_alone() -> None:
    def draw(seed: int, epoch: int) -> list[tuple[list[int], int]]:
        order = BatchOrder(10, 4, seed, shuffle=True)
        order.set_epoch(epoch)
        torch.rand(3)  # the global generator has no part in it
        return list(order)

    assert draw(0, 1) == draw(0, 1)
    assert draw(0, 1) != draw(0, 2)
    assert draw(0, 1) != draw(1, 1)
    assert sorted(index for batch, _ in draw(0, 1) for index in batch) == list(range(10))
    assert [len(batch) for batch, _ in draw(0, 1)] == [4, 4, 2]


def test_evaluation_keeps_the_order(digits: Digits) -> None:
    labels = torch.cat([digits.prepare(batch)[1] for batch in digits.test_dataloader()])
    assert torch.equal(labels, digits.splits["test"].labels)


def test_training_pictures_have_mean_zero_and_deviation_one(digits: Digits) -> None:
    images = torch.cat([digits.prepare(batch)[0] for batch in digits.train_dataloader()])
    assert images.mean().abs() < 1e-5
    assert (images.std() - 1).abs() < 1e-4


def test_shift_equals_a_loop_over_pictures() -> None:
    images = torch.arange(5 * 2 * 3 * 4).view(5, 2, 3, 4)
    offset = torch.randint(3, (2, 5, 1), generator=torch.Generator().manual_seed(7))
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    expected = torch.stack(
        [
            padded[i, :, int(offset[0, i]) : int(offset[0, i]) + 3, int(offset[1, i]) : int(offset[1, i]) + 4]
            for i in range(5)
        ]
    )
    assert torch.equal(random_shift(images, 1, torch.Generator().manual_seed(7)), expected)


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"shift": -1}, {"flip": 1.5}])
def test_impossible_settings_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}: expected"):
        Digits(**arguments)


class Watch(L.LightningModule):
    """Keeps the first pictures of every training epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.seen: list[torch.Tensor] = []

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        if batch_idx == 0:
            self.seen.append(batch[0])
        return self.weight * batch[0].mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*have no `validation_step`")
def test_lightning_draws_a_new_order_each_epoch_and_repeats_it(tmp_path: object) -> None:
    def fit(data: PictureData) -> list[torch.Tensor]:
        module = Watch()
        L.Trainer(
            max_epochs=2,
            limit_train_batches=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=str(tmp_path),
        ).fit(module, datamodule=data)
        return module.seen

    first, again = fit(Digits(seed=3)), fit(Digits(seed=3))
    assert not torch.equal(first[0], first[1])
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
