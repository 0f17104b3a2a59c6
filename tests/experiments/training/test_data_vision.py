"""Torchvision's picture sets: read from its own files, real ones where they are there and made ones where not."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from experiments.training.data import CIFAR10, CIFAR100, MNIST
from experiments.training.data.vision import VisionData

REAL = Path(os.environ.get("PHYSPRUNE_DATA", "data"))
EACH = 20


def there(data: type[VisionData]) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (REAL / data.folder).exists(), reason=f"no {data.folder} in {REAL}")


@pytest.mark.parametrize(
    ("kind", "classes", "train"),
    [
        pytest.param(MNIST, 10, 60_000, marks=there(MNIST)),
        pytest.param(CIFAR10, 10, 50_000, marks=there(CIFAR10)),
        pytest.param(CIFAR100, 100, 50_000, marks=there(CIFAR100)),
    ],
)
def test_real_files_are_read_as_torchvision_reads_them(kind: type[VisionData], classes: int, train: int) -> None:
    data = kind(REAL, verify=kind is CIFAR100)
    data.prepare_data()
    data.setup()
    sizes = {name: len(split) for name, split in data.splits.items()}
    assert sizes["train"] + sizes["val"] == train
    assert sizes["test"] == 10_000
    counts = {name: split.labels.bincount(minlength=classes) for name, split in data.splits.items()}
    assert torch.equal(counts["val"], (counts["train"] + counts["val"]) // 10)
    assert all(split.inputs.shape[1:] == kind.shape for split in data.splits.values())
    if kind is not MNIST:
        assert sizes["val"] == 5000
        assert counts["test"].tolist() == [10_000 // classes] * classes
    check_pixels(data)


def check_pixels(data: VisionData) -> None:
    """Compare some pictures with those that torchvision hands out one by one."""
    with pytest.MonkeyPatch.context() as patch:
        if not data.verify:
            patch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5=None: Path(path).is_file())
        theirs = data.source(data.root, train=False)
    for index in range(0, len(theirs), len(theirs) // 20):
        picture, label = theirs[index]
        pixels = torch.from_numpy(np.array(picture)).view(*data._stored()).movedim(-1, 0)
        assert torch.equal(data.splits["test"].inputs[index], pixels)
        assert data.splits["test"].labels[index] == label


def write_cifar10(root: Path, seed: int = 0) -> Path:
    """Write files of the form of CIFAR-10 with a few random pictures; their md5 sums are not the published ones."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        page = {"data": random.integers(256, size=(10 * EACH, 3072), dtype=np.uint8), "labels": [*range(10)] * EACH}
        (folder / name).write_bytes(pickle.dumps(page))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(number) for number in range(10)]}))
    return folder


def test_a_re_encoded_copy_is_refused_unless_it_is_accepted(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    with pytest.raises(RuntimeError, match=r"data\.root=.*not the published copy.*data\.verify=false"):
        CIFAR10(tmp_path).setup()
    data = CIFAR10(tmp_path, verify=False)
    data.prepare_data()
    data.setup()
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 900, "val": 100, "test": 200}
    assert data.splits["val"].labels.bincount().tolist() == [10] * 10
    check_pixels(data)


def test_an_accepted_copy_holds_what_its_files_hold(tmp_path: Path) -> None:
    folder = write_cifar10(tmp_path)
    data = CIFAR10(tmp_path, verify=False)
    data.setup()
    parts = [pickle.loads((folder / f"data_batch_{number}").read_bytes())["data"] for number in range(1, 6)]
    pictures = np.concatenate(parts).reshape(-1, 3, 32, 32)
    # The labels run 0 .. 9 over and over, so the tenth of every class are pictures 90 .. 99 of each hundred.
    held_out = (np.arange(1000) // 10) % 10 == 9
    assert np.array_equal(data.splits["val"].inputs.numpy(), pictures[held_out])
    assert np.array_equal(data.splits["train"].inputs.numpy(), pictures[~held_out])


@pytest.mark.parametrize("verify", [True, False])
def test_an_incomplete_copy_is_refused_and_not_downloaded(
    verify: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (write_cifar10(tmp_path) / "data_batch_3").unlink()
    monkeypatch.setattr(datasets.CIFAR10, "download", lambda self: pytest.fail("the folder is there"))
    data = CIFAR10(tmp_path, verify=verify)
    data.prepare_data()
    with pytest.raises(RuntimeError, match="cifar-10-batches-py is incomplete"):
        data.setup()


def test_what_is_not_there_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Path, bool]] = []
    source = staticmethod(lambda root, download: calls.append((root, download)))
    monkeypatch.setattr(CIFAR100, "source", source)
    CIFAR100(tmp_path).prepare_data()
    assert calls == [(tmp_path, True)]
    (tmp_path / CIFAR100.folder).mkdir()
    CIFAR100(tmp_path).prepare_data()
    assert len(calls) == 1


@there(CIFAR100)
def test_one_changed_byte_of_the_published_files_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / CIFAR100.folder
    folder.mkdir()
    for file in (REAL / CIFAR100.folder).iterdir():
        if file.name in ("train", "test", "meta"):
            (folder / file.name).symlink_to(file.resolve())
    changed = bytearray((folder / "meta").read_bytes())
    changed[-2] ^= 1
    (folder / "meta").unlink()
    (folder / "meta").write_bytes(changed)
    with pytest.raises(RuntimeError, match="cifar-100-python is incomplete or not the published copy"):
        CIFAR100(tmp_path).setup()


def test_pictures_are_scaled_to_a_size_and_to_the_colours_that_a_network_expects(tmp_path):
    write_cifar10(tmp_path)
    plain = CIFAR10(tmp_path, verify=False)
    larger = CIFAR10(tmp_path, verify=False, size=64, normalisation="half")
    for data in (plain, larger):
        data.setup()
    batch = plain.splits["val"][[0, 1], 0]
    pictures, labels = larger.prepare(batch)
    assert larger.sizes == {"shape": (3, 64, 64), "classes": 10}
    assert larger.example(2).shape == pictures.shape == (2, 3, 64, 64)
    assert torch.equal(labels, batch[1])
    expected = torch.nn.functional.interpolate(batch[0] / 127.5 - 1, (64, 64), mode="bilinear")
    assert torch.allclose(pictures, expected, atol=1e-5)
    assert plain.prepare(batch)[0].shape == (2, 3, 32, 32)


def test_the_colours_of_imagenet(tmp_path):
    write_cifar10(tmp_path)
    data = CIFAR10(tmp_path, verify=False, normalisation="imagenet")
    data.setup()
    white = torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)
    scaled, _ = data.prepare((white, torch.tensor([0]), 0))
    assert torch.allclose(scaled[0, :, 0, 0], torch.tensor([2.2489, 2.4286, 2.6400]), atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "argument", "words"),
    [
        (CIFAR10, {"size": 0}, "size: expected at least 1 pixel"),
        (CIFAR10, {"normalisation": "imagnet"}, "did you mean 'imagenet'"),
        (MNIST, {"normalisation": "imagenet"}, "for 3 colours, the pictures have 1"),
    ],
)
def test_sizes_and_colours_outside_their_range_are_named(kind, argument, words):
    with pytest.raises(ValueError, match=words):
        kind("data", **argument)
