"""Prune, then quantise to int8 with onnxruntime: accuracy, latency, size. ``python -m experiments.int8.run``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import nn

from experiments.bench.runs import save, write_table
from experiments.examples.digits import Classifier, Digits
from experiments.examples.int8_onnx import quantise
from experiments.examples.serve_onnx import Pictures
from experiments.training.sweeps.figures import percent, spread
from physprune_pl import physics_pruning
from physprune_pl.export import export_onnx
from physprune_pl.latency.race import turns

FOLDER = Path(__file__).parent
SEEDS, EPOCHS, FINETUNE, SHARE = (0, 1, 2), 15, 5, 0.4
BATCHES = (1, 32)
# Rounds of the race, and how long a network is run in each.
ROUNDS, ROUND_SECONDS = 15, 0.05
NETWORKS = ("dense", "dense, int8", "pruned", "pruned, int8")

Result = dict[str, Any]


def network() -> nn.Sequential:
    """Return three wide convolutions, each with batch norm, and a linear layer."""
    widths, parts = (1, 32, 64, 64), list[nn.Module]()
    for place in range(3):
        convolution = nn.Conv2d(widths[place], widths[place + 1], 3, padding=1, bias=False)
        parts += [convolution, nn.BatchNorm2d(widths[place + 1]), nn.ReLU()]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, 10))


def trained(seed: int, prunes: bool, epochs: int = EPOCHS, finetune: int = FINETUNE) -> Classifier:
    """Return a network that was trained for all epochs, pruned on the way or not."""
    L.seed_everything(seed, verbose=False)
    module = Classifier(network())
    pruning = physics_pruning("uniform", target={"macs": SHARE}, finetune_epochs=finetune) if prunes else None
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(
        max_epochs=epochs if prunes else epochs + finetune,
        callbacks=pruning,
        accelerator="cpu",
        enable_model_summary=False,
        **settings,
    )
    trainer.fit(module, datamodule=Digits())
    return module.eval()


def files_of(modules: Mapping[str, Classifier], pictures: Pictures, folder: Path) -> dict[str, Path]:
    """Export every network, and quantise it; name -> file."""
    found = {}
    for name, module in modules.items():
        found[name] = export_onnx(module.network, torch.from_numpy(pictures[:1]), folder / f"{name}.onnx")
        found[f"{name}, int8"] = quantise(found[name], pictures)
    return found


def session_of(file: Path) -> Callable[[Pictures], Pictures]:
    """Return what runs a file on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(pictures: Pictures) -> Pictures:
        return np.asarray(session.run(None, {name: pictures})[0])

    return run


def measured(seed: int, epochs: int = EPOCHS, finetune: int = FINETUNE) -> list[Result]:
    """Train, export, quantise and measure with one seed; a result for each of :data:`NETWORKS`."""
    train, test = Digits().whole[:1500], Digits().whole[1500:]
    pictures, labels = test[0].numpy(), test[1].numpy()
    modules = {name: trained(seed, name == "pruned", epochs, finetune) for name in ("dense", "pruned")}
    with TemporaryDirectory() as folder:
        files = files_of(modules, train[0][:256].numpy(), Path(folder))
        runs = {name: session_of(file) for name, file in files.items()}
        sizes = {name: file.stat().st_size for name, file in files.items()}
    times = {
        batch: turns({name: partial(run, pictures[:batch]) for name, run in runs.items()}, ROUNDS, ROUND_SECONDS)
        for batch in BATCHES
    }
    return [
        {
            "network": name,
            "seed": seed,
            "accuracy": float(np.mean(run(pictures).argmax(1) == labels)),
            "file_bytes": sizes[name],
            "ms": {str(batch): list(times[batch][name]) for batch in BATCHES},
        }
        for name, run in runs.items()
    ]


def table(results: Sequence[Result]) -> str:
    """Return the markdown table of the README: means over the seeds; times as ratios to the dense network's."""
    lines = ["| network | accuracy | file, kB | faster, batch 1 | faster, batch 32 |", "|---|---|---|---|---|"]
    for name in NETWORKS:
        own = [one for one in results if one["network"] == name]
        kilobytes = f"{mean(one['file_bytes'] for one in own) / 1000:.0f}"
        faster = (spread(list(_ratios(results, name, str(batch))), "{:.2f}") + "x" for batch in BATCHES)
        lines.append(f"| {name} | {percent([one['accuracy'] for one in own])} | {kilobytes} | {' | '.join(faster)} |")
    return "\n".join(lines) + "\n"


def _ratios(results: Sequence[Result], name: str, batch: str) -> Iterator[float]:
    """Yield, seed by seed, the median over the rounds of how many times faster than the dense network it was."""
    by_seed = {(one["network"], one["seed"]): one["ms"][batch] for one in results}
    for (network_name, seed), times in by_seed.items():
        if network_name == name:
            yield float(np.median([dense / own for dense, own in zip(by_seed["dense", seed], times, strict=True)]))


def main() -> None:
    """Measure, then write results.json and the table of the README."""
    argparse.ArgumentParser(description=str(__doc__)).parse_args()
    torch.set_num_threads(1)
    results = [result for seed in SEEDS for result in measured(seed)]
    save(results, "python -m experiments.int8.run", FOLDER / "results.json")
    write_table(FOLDER / "README.md", table(results))


if __name__ == "__main__":
    main()
