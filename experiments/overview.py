"""One row per network and data: what a pruned network reaches beside the dense one and its rivals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from experiments.bench.committed_results import results
from experiments.bench.runs import stored
from experiments.peers.run import JOBS
from experiments.training.sweeps.figures import ArmFigures, percent, spread
from physprune_pl.reports.tables import markdown

TITLES = {
    "digits": "ResNet-56, digits",
    "mnist": "LeNet-5, MNIST",
    "mnist_resnet20": "ResNet-20, MNIST",
    "cifar10": "ResNet-20, CIFAR-10",
    "cifar10_trained": "ResNet-20, CIFAR-10, trained before",
    "sst2": "text encoder, SST-2",
    "minilm": "MiniLM, trained before, SST-2",
    "efficientnet": "EfficientNet-Lite0, trained before, CIFAR-10",
}
OURS = ("none", "uniform", "exponential")
HEAD = ("network, data", "MACs", "dense", *OURS, "best other program", "scaled, from scratch", "latency, batch 32")


def table() -> str:
    """Return test accuracies in per cent at the end, mean ± standard deviation over the seeds."""
    return markdown(HEAD, [tuple(_cells(name, title)) for name, title in TITLES.items()])


def _cells(name: str, title: str) -> Iterator[str]:
    by_arm = {arm: ArmFigures.of(_of(results(name), arm)) for arm in ("dense", *OURS)}
    yield from (title, f"{spread(by_arm['uniform'].less('macs'), '{:.1f}')}x fewer")
    yield percent(by_arm["dense"].scores("dense"))
    for arm in OURS:
        yield percent(by_arm[arm].scores("after_finetune"))
    peers = stored(JOBS[name].path) if name in JOBS else []
    yield best_program(peers) if peers else "-"
    small = [one for one in results("scratch") if (one["data"], one["shape"]) == (name, "scaled")]
    yield f"{percent([one['accuracy'] for one in small])} ({len(small)})" if small else "-"
    yield f"{spread(by_arm['uniform'].kept('batch_32'), '{:.2f}')} of dense"


def best_program(found: Sequence[Mapping[str, Any]]) -> str:
    """Return accuracy and name of the program whose networks are best on test data, which favours it.

    >>> run = lambda arm, score: {"arm": arm, "metric": {"after_finetune": score}}
    >>> best_program([run("A", 0.5), run("B", 0.75)])
    '75.00 (B)'
    """
    scores = {one["arm"]: [run["metric"]["after_finetune"] for run in _of(found, one["arm"])] for one in found}
    best = max(scores, key=lambda arm: mean(scores[arm]))
    return f"{percent(scores[best])} ({best})"


def _of(found: Sequence[Mapping[str, Any]], arm: str) -> list[Mapping[str, Any]]:
    return [one for one in found if one["arm"] == arm]
