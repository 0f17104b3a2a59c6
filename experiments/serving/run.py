"""Accuracy and speed of the networks of ``minilm``, as they are used: ``python -m experiments.serving.run``.

It needs the runs of that comparison, and the extras ``pretrained`` and ``export``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from experiments.bench.committed_results import comparison
from experiments.bench.runs import Arm, Result, save, write_table
from experiments.int8.run import session_of
from experiments.training.assembly import build_data, build_model, composed
from experiments.training.evaluation import evaluate
from physprune_pl import load_pruned
from physprune_pl.export import export_onnx
from physprune_pl.latency.race import turns
from physprune_pl.reports.report import command_line
from physprune_pl.reports.tables import markdown

FOLDER = Path(__file__).parent
# GLUE's development sentences, and the labelled test sentences of the treebank itself.
FILES = ("dev.tsv", "test-labeled.tsv")
SHAPES = tuple(product((1, 32), (32, 128)))
HEAD = ("network", *(f"accuracy, {file}" for file in FILES))
HEAD += tuple(f"{engine}, {batch} x {tokens}" for engine in ("eager", "ONNX Runtime") for batch, tokens in SHAPES)


def networks(arms: Sequence[Arm], runs: Path, seed: int) -> dict[str, nn.Module]:
    """Return the networks of the runs that are finished, the dense one first."""
    found: dict[str, nn.Module] = {}
    for arm in arms:
        folder = runs / arm.name / str(seed)
        if (folder / "report.json").exists():
            config = composed(arm.overrides)
            model = build_model(config, build_data(config))
            found[arm.name] = load_pruned(model, folder / "checkpoints" / "best.ckpt").network.eval()
    return found


def accuracies(found: Mapping[str, nn.Module], overrides: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the share of right answers by file and network."""
    data = {file: build_data(composed([*overrides, f"data.test_file={file}"])) for file in FILES}
    return {file: evaluate(found, one, torch.device("cpu"), "test") for file, one in data.items()}


@torch.no_grad()
def times(
    found: Mapping[str, nn.Module], tokens: Tensor, rounds: int = 11, seconds: float = 0.05
) -> dict[str, dict[str, list[float]]]:
    """Return milliseconds by engine and network, round by round, of one batch of token ids [B, L]."""
    eager = {name: partial(network, tokens) for name, network in found.items()}
    with TemporaryDirectory() as folder:
        served = {name: partial(run, tokens.numpy()) for name, run in _sessions(found, tokens, Path(folder))}
        return {"eager": turns(eager, rounds, seconds), "ONNX Runtime": turns(served, rounds, seconds)}


def _sessions(found: Mapping[str, nn.Module], tokens: Tensor, folder: Path) -> Iterator[tuple[str, Callable[..., Any]]]:
    for place, (name, network) in enumerate(found.items()):
        yield name, session_of(export_onnx(network, tokens, folder / f"{place}.onnx", dynamic_batch=False))


def measured(found: Mapping[str, nn.Module], overrides: Sequence[str]) -> list[Result]:
    """Return a result for every network."""
    torch.manual_seed(0)
    right = accuracies(found, overrides)
    # Word pieces, none of them padding: what stands there does not matter for the time.
    timed = {(batch, length): times(found, torch.randint(1000, 20_000, (batch, length))) for batch, length in SHAPES}
    return [
        {
            "network": name,
            "accuracy": {file: right[file][name] for file in FILES},
            "ms": {
                f"{engine}, {batch} x {length}": own[name]
                for (batch, length), engines in timed.items()
                for engine, own in engines.items()
            },
        }
        for name in found
    ]


def table(results: Sequence[Result]) -> str:
    """Return a row per network: accuracy in per cent, and how many times faster than the dense network it answers."""
    dense = results[0]["ms"]
    rows = []
    for one in results:
        right = (f"{100 * one['accuracy'][file]:.2f}" for file in FILES)
        faster = (f"{_ratio(dense[name], one['ms'][name]):.2f}x" for name in HEAD[1 + len(FILES) :])
        rows.append((one["network"], *right, *faster))
    return markdown(HEAD, rows)


def _ratio(dense: Sequence[float], own: Sequence[float]) -> float:
    return median(one / other for one, other in zip(dense, own, strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was trained, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/minilm"), help="folder of the runs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    arms = comparison("minilm").arms
    found = measured(networks(arms, options.runs, options.seed), arms[0].overrides)
    save(found, command_line(), FOLDER / "results.json")
    write_table(FOLDER / "README.md", table(found))


if __name__ == "__main__":
    main()
