"""Training pictures per second, by whole batches and one by one: ``python -m experiments.loading.run``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from experiments.bench.runs import save, write_table
from experiments.training.data import CIFAR10, PictureData, Split
from physprune_pl.latency.race import turns

FOLDER = Path(__file__).parent
COUNT, BATCH, ROUNDS = 5_000, 128, 5
Epoch = Callable[[], object]


class InMemory(PictureData):
    """Pictures that are given, all of them to train with."""

    shape, classes = CIFAR10.shape, CIFAR10.classes

    def __init__(self, pictures: Split, **settings: Any) -> None:
        super().__init__(BATCH, **settings)
        self.pictures = pictures

    def load(self) -> dict[str, Split]:
        return {"train": self.pictures}

    def epoch(self) -> None:
        """Make every picture ready once."""
        for batch in self.train_dataloader():
            self.prepare(batch, augment=True)


class OneByOne(Dataset[tuple[Tensor, int]]):
    """The same pictures as torchvision hands them out: a PIL image each, changed on its own."""

    def __init__(self, data: InMemory) -> None:
        self.arrays = data.pictures.inputs.movedim(1, -1).contiguous().numpy()
        self.labels = data.pictures.labels.tolist()
        scaled = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        colours = [(values / 255).flatten().tolist() for values in (data.mean, data.std)]
        moved = [v2.RandomCrop(data.shape[-1], padding=data.shift), v2.RandomHorizontalFlip(data.flip)]
        self.transform = v2.Compose([*moved, *scaled, v2.Normalize(*colours)])
        self.loader = DataLoader(self, BATCH, shuffle=True)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.arrays[index])), self.labels[index]

    def epoch(self) -> None:
        """Make every picture ready once."""
        for _ in self.loader:
            pass


def pictures(root: Path) -> tuple[str, Split]:
    """Return the first training pictures of CIFAR-10 and their name; random bytes where it is not there."""
    if (root / CIFAR10.folder).exists():
        found = CIFAR10(root, verify=False).load()["train"]
        return "CIFAR-10", Split(found.inputs[:COUNT], found.labels[:COUNT])
    drawn = torch.randint(256, (COUNT, *CIFAR10.shape), dtype=torch.uint8)
    return "random bytes", Split(drawn, torch.randint(CIFAR10.classes, (COUNT,)))


def ways(split: Split) -> dict[str, Epoch]:
    """Return the ways to make an epoch ready; the first is what the others are compared with."""
    plain, all_of_it = (InMemory(split, shift=4, flip=0.5, **more) for more in ({}, {"cutout": 16, "mixup": 0.2}))
    for data in (plain, all_of_it):
        data.setup()
    return {
        "one by one, torchvision": OneByOne(plain).epoch,
        "whole batches": plain.epoch,
        "whole batches, cutout and MixUp too": all_of_it.epoch,
    }


def seconds(epochs: Mapping[str, Epoch]) -> dict[str, list[float]]:
    """Return the processor seconds of every round, in which the ways take turns."""
    times = turns(epochs, ROUNDS, round_seconds=0.0)
    return {name: [one / 1000.0 for one in own] for name, own in times.items()}


def summarised(taken: Mapping[str, Sequence[float]], source: str) -> list[dict[str, Any]]:
    """Return a row per way: medians over the rounds, of speed and of its ratio to the first way in the same round."""
    first = next(iter(taken.values()))
    return [
        {
            "way": name,
            "pictures": source,
            "count": COUNT,
            "seconds": list(times),
            "pictures_per_second": COUNT / median(times),
            "times_as_fast": median(slow / own for slow, own in zip(first, times, strict=True)),
        }
        for name, times in taken.items()
    ]


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the markdown table of the README."""
    lines = ["| way | pictures | per second | times as fast |", "|---|---|---|---|"]
    for row in results:
        speed, ratio = f"{row['pictures_per_second']:,.0f}", f"{row['times_as_fast']:.1f}"
        lines.append(f"| {row['way']} | {row['count']:,} of {row['pictures']} | {speed} | {ratio} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, then write results.json and the table of the README."""
    # One thread: an epoch of small pictures is no work to share, and the figures do not depend on the cores.
    torch.set_num_threads(1)
    torch.manual_seed(0)
    source, split = pictures(Path(os.environ.get("PHYSPRUNE_DATA", "data")))
    results = summarised(seconds(ways(split)), source)
    save(results, "python -m experiments.loading.run", FOLDER / "results.json")
    write_table(FOLDER / "README.md", table(results))


if __name__ == "__main__":
    main()
