"""Pruned forecasters: ``python -m experiments.forecasting.run [--horizons 24 96] [--seeds 0]``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import AT, Arm, Result, merged, run_arms, save, stored, write_table
from experiments.scratch.run import scale, trained_small
from experiments.targets.curves import Curves
from experiments.training.assembly import build_data, build_model, composed, load_weights
from experiments.training.evaluation import evaluate
from experiments.training.run import run
from experiments.training.supervised import Supervised
from experiments.training.sweeps.figures import ArmFigures, spread
from experiments.training.tasks import squared_errors
from physprune_pl import load_pruned
from physprune_pl.reports.report import command_line
from physprune_pl.reports.tables import markdown
from physprune_pl.targets.target import Target

FOLDER = Path(__file__).parent
LAWS = ("none", "uniform", "exponential")
SCALED = "scaled"
SHARES = (0.25, 0.1, 0.04)
HORIZONS = (24, 96)
# Half of the windows in an epoch: next to each other they are nearly the same.
HALF = "+trainer.limit_train_batches=0.5"
NETWORK = (HALF, "data=etth1", "model=patch_transformer", "model.stride=16", "optimizer=adamw", "optimizer.lr=1e-3")
HEAD = ("horizon", "arm", "seeds", "MACs", "parameters", "MAE before the cut", "right after", "fine-tuned", "MSE")


def curves(horizon: int) -> Curves:
    """Return the arms of one horizon."""
    overrides = (*NETWORK, f"data.horizon={horizon}")
    return Curves(LawComparison("forecasting", overrides, SHARES[0], LAWS, sparsify=4, finetune=2), SHARES[1:])


def results(horizon: int, seeds: Sequence[int], runs: Path, known: Set[tuple[str, int]]) -> Iterator[Result]:
    """Yield the figures of every arm and seed; what was run is not run again.

    Args:
        horizon: hours to forecast.
        seeds: random seeds.
        runs: folder of the single runs.
        known: arms and seeds whose figures there are already.
    """
    arms = curves(horizon).arms
    for seed in seeds:
        for one in run_arms(arms, [seed], runs, run):
            arm = next(arm for arm in arms if arm.name == one["arm"])
            yield {**one, "horizon": horizon, "mse": _squared_error(arm, seed, runs)}
        for share in (one for one in SHARES if (f"{SCALED}{AT}{one}", seed) not in known):
            yield {**_scaled(arms[0], share, seed, runs), "horizon": horizon}


def _squared_error(arm: Arm, seed: int, runs: Path) -> float:
    """Mean squared error of a finished run's network on test data."""
    folder = runs / arm.name / str(seed)
    config = composed([*arm.overrides, f"seed={seed}", f"paths.output={folder}"])
    load = load_weights if arm.name == "dense" else load_pruned
    return _errors(config, load(build_model(config, build_data(config)), folder / "checkpoints" / "best.ckpt"))


def _errors(config: DictConfig, model: Supervised) -> float:
    return evaluate({"": model}, build_data(config), torch.device("cpu"), "test", scores=squared_errors)[""]


def _scaled(dense: Arm, share: float, seed: int, runs: Path) -> Result:
    """Train the same network with every width multiplied, for as many epochs in all; its errors on test data."""
    name = f"{SCALED}{AT}{share}"
    config = composed([*dense.overrides, f"seed={seed}", f"paths.output={runs / name / str(seed)}"])
    target = Target("macs", share)
    kept, model = trained_small(config, lambda model, data: scale(model.network, data.example(2), target))
    error = evaluate({"": model}, build_data(config), torch.device("cpu"), "test")[""]
    costs = {"macs": {"dense": 1.0, "pruned": kept}}
    return {"arm": name, "seed": seed, **costs, "metric": {"after_finetune": error}, "mse": _errors(config, model)}


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return a row per horizon and arm: errors on test data, latency as a share of the dense network's."""
    rows = dict.fromkeys((one["horizon"], one["arm"]) for one in found)
    lines = [tuple(_cells(row, [one for one in found if (one["horizon"], one["arm"]) == row])) for row in rows]
    return markdown((*HEAD, "latency, batch 1", "latency, batch 32"), lines)


def _cells(row: tuple[int, str], runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from (str(row[0]), row[1], str(len(runs)))
    figures = ArmFigures.of(runs)
    for cost in ("macs", "params"):
        yield f"{spread(figures.less(cost), '{:.1f}')}x fewer" if cost in runs[0] else "-"
    for phase in ("after_sparsify", "after_cut"):
        yield spread(figures.scores(phase), "{:.3f}")
    yield spread(figures.final, "{:.3f}")
    yield spread([one["mse"] for one in runs], "{:.3f}")
    for batch in ("batch_1", "batch_32"):
        yield spread(figures.kept(batch), "{:.2f}") if runs[0].get("latency_ms") else "-"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write results.json and the table of README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--horizons", type=int, nargs="+", choices=HORIZONS, default=list(HORIZONS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs") / "forecasting", help="folder of the single runs")
    options = parser.parse_args(arguments)
    path = FOLDER / "results.json"
    for horizon in options.horizons:
        known = {(one["arm"], one["seed"]) for one in stored(path) if one["horizon"] == horizon}
        for one in results(horizon, options.seeds, options.runs / str(horizon), known):
            save(_merged(stored(path), one), command_line(), path)
    write_table(FOLDER / "README.md", table(stored(path)))


def _merged(old: Sequence[Result], new: Result) -> list[Result]:
    """Put a new result in its place among those of its horizon."""
    names = [*(arm.name for arm in curves(new["horizon"]).arms), *(f"{SCALED}{AT}{share}" for share in SHARES)]
    same = [one for one in old if one["horizon"] == new["horizon"]]
    others = [one for one in old if one["horizon"] != new["horizon"]]
    return sorted([*others, *merged(same, [new], names)], key=lambda one: int(one["horizon"]))


if __name__ == "__main__":
    main()
