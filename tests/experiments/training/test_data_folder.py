"""Pictures in folders: layout, sizes, and random changes that depend on seed, epoch and picture alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numbered import interrupted
from PIL import Image
from torch import Tensor
from torchvision import datasets
from torchvision.transforms import v2

from experiments.training.assembly import composed
from experiments.training.data import ImageFolder, SplitName
from experiments.training.data.folder import MEAN, STD
from experiments.training.run import run

CLASSES = ("ant", "bee")

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:The number of training batches", "ignore:Checkpoint directory"
)


def write_pictures(folder: Path, count: int, seed: int) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        coarse = random.integers(256, size=(5, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((48, 40)).save(folder / f"{number:02}.png")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for place, name in enumerate(CLASSES):
        write_pictures(folder / "train" / name, 21, seed=place)
        write_pictures(folder / "val" / name, 3, seed=10 + place)
    return folder


def made(root: Path, **settings: Any) -> ImageFolder:
    data = ImageFolder(root, **{"size": 32, "batch_size": 5, "workers": 0, "seed": 1, **settings})
    data.setup()
    return data


def epoch(data: ImageFolder, number: int, split: SplitName = "train") -> list[tuple[Tensor, Tensor]]:
    loader = data.loader(split)
    loader.sampler.set_epoch(number)  # type: ignore[attr-defined]
    return [data.prepare(batch) for batch in loader]


def same(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a, b) for left, right in pairs for a, b in zip(left, right, strict=True))


def test_splits_are_a_tenth_of_each_class_the_rest_and_val(root: Path) -> None:
    data = made(root)
    assert (data.shape, data.classes) == ((3, 32, 32), 2)
    assert data.example(4).shape == (4, 3, 32, 32)
    files = {name: [split.files.samples[row] for row in split.rows] for name, split in data.splits.items()}
    names = {name: [f"{Path(path).parent.name}/{Path(path).stem}" for path, _ in rows] for name, rows in files.items()}
    assert names["val"] == ["ant/09", "ant/19", "bee/09", "bee/19"]
    assert not {*names["train"]} & {*names["val"]}
    assert len(names["train"]) == 38
    assert all(Path(path).parent.parent == root / "val" for path, _ in files["test"])
    labels = {name: torch.cat([answers for _, answers in epoch(data, 0, name)]) for name in ("train", "val", "test")}
    assert {name: found.bincount().tolist() for name, found in labels.items()} == {
        **{"train": [19, 19], "val": [2, 2], "test": [3, 3]},
    }


def test_evaluation_takes_the_middle_as_torchvision_does(root: Path) -> None:
    steps = [v2.Resize(37), v2.CenterCrop(32), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    theirs = datasets.ImageFolder(str(root / "val"), v2.Compose([*steps, v2.Normalize(MEAN, STD)]))
    pictures = torch.cat([inputs for inputs, _ in epoch(made(root), 0, "test")])
    assert torch.allclose(pictures, torch.stack([picture for picture, _ in theirs]), atol=1e-5)


def test_training_takes_a_random_part_as_torchvision_does(root: Path) -> None:
    data = made(root)
    places, _ = next(iter(data.loader("train").sampler))
    row = int(data.splits["train"].rows[places[0]])
    seed = int(np.random.SeedSequence([1, 0, row]).generate_state(1)[0])
    theirs = datasets.ImageFolder(str(root / "train"))[row][0]
    torch.manual_seed(seed)
    change = v2.Compose([v2.RandomResizedCrop(32), v2.RandomHorizontalFlip(), v2.ToImage()])
    expected = v2.Normalize(MEAN, STD)(change(theirs) / 255)
    assert torch.allclose(epoch(data, 0)[0][0][0], expected, atol=1e-5)


def test_pictures_depend_on_seed_and_epoch_and_nothing_else(root: Path) -> None:
    plain = epoch(made(root), 3)
    torch.rand(5)
    assert same(plain, epoch(made(root), 3))
    assert same(plain, epoch(made(root, workers=2), 3))
    assert not same(plain, epoch(made(root), 4))
    assert not same(plain, epoch(made(root, seed=2), 3))
    # In batches of another size every picture stays as it is.
    whole = torch.cat([inputs for inputs, _ in plain])
    assert torch.equal(whole, torch.cat([inputs for inputs, _ in epoch(made(root, batch_size=9), 3)]))


def test_reading_leaves_the_global_generator_alone(root: Path) -> None:
    before = torch.get_rng_state()
    images, labels, _ = made(root).splits["train"][[0, 30], 0]
    assert (images.shape, images.dtype, labels.tolist()) == ((2, 3, 32, 32), torch.uint8, [0, 1])
    assert torch.equal(before, torch.get_rng_state())


def test_workers_are_kept_and_memory_is_pinned_for_a_gpu(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    loader = made(root, workers=2).loader("train")
    assert (loader.num_workers, loader.persistent_workers, loader.pin_memory) == (2, True, True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loader = made(root).loader("val")
    assert (loader.num_workers, loader.persistent_workers, loader.pin_memory) == (0, False, False)


def test_a_resumed_fit_sees_what_an_uninterrupted_one_sees(root: Path, tmp_path: Path) -> None:
    whole, resumed = interrupted(made(root), made(root, workers=2), tmp_path)
    assert resumed == [entry for entry in whole if entry[0] > 0]


@pytest.mark.parametrize("missing", ["train", "val"])
def test_a_missing_folder_is_named(missing: str, tmp_path: Path) -> None:
    for name in {"train", "val"} - {missing}:
        write_pictures(tmp_path / name / "ant", 1, seed=0)
    with pytest.raises(FileNotFoundError, match=rf"root: expected train/<class>/.*no classes in {tmp_path}/{missing}"):
        ImageFolder(tmp_path)


def test_other_classes_to_test_are_named(tmp_path: Path) -> None:
    for folder in ("train/ant", "train/bee", "val/ant", "val/cow"):
        write_pictures(tmp_path / folder, 1, seed=0)
    with pytest.raises(ValueError, match=r"root: expected the same classes.*only one has \['bee', 'cow'\]"):
        ImageFolder(tmp_path)


def test_a_class_with_too_few_pictures_is_named(tmp_path: Path) -> None:
    for folder, count in {"train/ant": 10, "train/bee": 9, "val/ant": 1, "val/bee": 1}.items():
        write_pictures(tmp_path / folder, count, seed=0)
    with pytest.raises(ValueError, match=r"root: expected at least 10 pictures.*fewer in \['bee'\]"):
        made(tmp_path)


@pytest.mark.parametrize("arguments", [{"size": 0}, {"workers": -1}, {"batch_size": 0}])
def test_impossible_settings_are_refused(arguments: dict[str, Any], root: Path) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}: expected"):
        made(root, **arguments)


def test_a_run_on_a_folder(root: Path, tmp_path: Path) -> None:
    data = ("data=imagefolder", f"data.root={root}", "data.size=32", "data.workers=0", "data.batch_size=8")
    plain = ("model=lenet5", "trainer=cpu", "+trainer.fast_dev_run=true", "logger=none")
    report, score = run(composed([*data, *plain, "finetune.epochs=1", f"paths.output={tmp_path}"]))
    assert report.metric["split"] == "test"
    assert 6 * report.metric["after_finetune"] == pytest.approx(round(6 * report.metric["after_finetune"]))
    assert 4 * score == pytest.approx(round(4 * score))
