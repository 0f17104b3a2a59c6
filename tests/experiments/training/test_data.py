"""Splits, order of the batches, and what Lightning makes of them."""

from pathlib import Path

import pytest
import torch
from numbered import Numbered, WriteSeen, fitted, interrupted

from experiments.training.data import BatchOrder, Digits
from experiments.training.data.digits import stratified_split
from experiments.training.data.module import LabelledData
from experiments.training.data.splits import held_out, place_in_class

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:The number of training batches", "ignore:Checkpoint directory"
)


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


def test_place_in_class_equals_a_loop() -> None:
    labels = torch.randint(7, (200,))
    seen = [0] * 7
    for label, place in zip(labels.tolist(), place_in_class(labels).tolist(), strict=True):
        assert place == seen[label]
        seen[label] += 1
    assert held_out(labels).sum() == sum(count // 10 for count in seen)


def draw(seed: int, epoch: int, size: int = 10) -> list[tuple[list[int], int]]:
    order = BatchOrder(size, 4, seed, shuffle=True)
    order.set_epoch(epoch)
    torch.rand(3)  # the global generator has no part in it
    return list(order)


def test_an_epoch_is_drawn_from_seed_and_epoch_alone() -> None:
    assert draw(0, 1) == draw(0, 1)
    assert draw(0, 1) != draw(0, 2)
    assert draw(0, 1) != draw(1, 1)
    assert sorted(index for batch, _ in draw(0, 1) for index in batch) == list(range(10))
    assert [len(batch) for batch, _ in draw(0, 1)] == [4, 4, 2]


class Group:
    """Stands in for torch.distributed's running process group."""

    def __init__(self, patch: pytest.MonkeyPatch, processes: int) -> None:
        self.rank = 0
        patch.setattr(torch.distributed, "is_initialized", lambda: True)
        patch.setattr(torch.distributed, "get_rank", lambda: self.rank)
        patch.setattr(torch.distributed, "get_world_size", lambda: processes)


def test_processes_share_an_epoch_out(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw(0, 1, size=27)
    group = Group(monkeypatch, processes=3)
    shares = []
    for group.rank in range(3):
        shares.append(draw(0, 1, size=27))
        assert len(BatchOrder(27, 4, 0, shuffle=True)) == len(shares[-1]) == 2
        assert len(list(BatchOrder(27, 4, 0, shuffle=False))) == len(BatchOrder(27, 4, 0, shuffle=False)) == 7
    taken = [batch for share in shares for batch in share]
    assert sorted(taken) == sorted(whole[:6])
    indices = [index for batch, _ in taken for index in batch]
    assert len(indices) == len(set(indices)) == 24


def test_too_few_batches_for_the_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Group(monkeypatch, processes=3)
    with pytest.raises(ValueError, match="batch_size: 8 samples make 2 batches, too few for 3 processes"):
        len(BatchOrder(8, 4, 0, shuffle=True))


def test_evaluation_keeps_the_order(digits: Digits) -> None:
    labels = torch.cat([digits.prepare(batch)[1] for batch in digits.test_dataloader()])
    assert torch.equal(labels, digits.splits["test"].labels)


def test_training_pictures_have_mean_zero_and_deviation_one(digits: Digits) -> None:
    images = torch.cat([digits.prepare(batch)[0] for batch in digits.train_dataloader()])
    assert images.mean().abs() < 1e-5
    assert (images.std() - 1).abs() < 1e-4


def test_lightning_draws_a_new_order_each_epoch_and_repeats_it(tmp_path: Path) -> None:
    first, again = (fitted(Numbered(6), tmp_path, enable_checkpointing=False) for _ in range(2))
    assert first.seen == again.seen
    epochs = [[batch for epoch, batch in first.seen if epoch == number] for number in range(3)]
    assert all(sorted(int(number) for batch in epoch for number, _ in batch) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_resumed_fit_sees_what_an_uninterrupted_one_sees(tmp_path: Path) -> None:
    whole, resumed = interrupted(Numbered(6, seed=5), Numbered(6, seed=5), tmp_path)
    assert resumed == [entry for entry in whole if entry[0] > 0]
    assert {epoch for epoch, _ in resumed} == {1, 2}


@pytest.mark.slow
def test_two_processes_share_an_epoch_and_validate_alike(tmp_path: Path) -> None:
    settings = {"strategy": "ddp_spawn", "devices": 2, "num_sanity_val_steps": 0, "enable_checkpointing": False}
    fitted(Numbered(6), tmp_path, callbacks=[WriteSeen(tmp_path)], **settings)
    seen, validated = zip(*(torch.load(tmp_path / f"{rank}.pt") for rank in range(2)), strict=True)
    for epoch in range(3):
        numbers = [[int(number) for when, batch in one if when == epoch for number, _ in batch] for one in seen]
        assert len(numbers[0]) + len(numbers[1]) == len({*numbers[0], *numbers[1]}) == 20
    assert validated[0] == validated[1] == [*range(20)] * 3


def test_a_data_set_says_what_it_leaves_open() -> None:
    bare = LabelledData(batch_size=4)
    for unwritten in (bare.setup, bare.train_dataloader, lambda: bare.example(1)):
        with pytest.raises(NotImplementedError):
            unwritten()
