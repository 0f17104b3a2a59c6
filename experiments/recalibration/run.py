"""Whether recomputing batch-norm statistics after the cut helps: ``python -m experiments.recalibration.run``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import torch
from omegaconf import DictConfig

from experiments.bench.finished_networks import look_again
from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import Result
from experiments.training.assembly import build_data, build_model, load_weights
from experiments.training.evaluation import evaluate
from experiments.training.outcome import recalibrated
from physprune_pl import PruningPlan, apply_plan

# One epoch of fine-tuning, as the checkpoint that ends it holds the plan.
COMPARISON = LawComparison(
    "recalibration",
    ("experiment=demo",),
    0.3,
    ("none", "uniform", "exponential"),
    sparsify=20,
    finetune=1,
    seeds=(0, 1, 2, 3, 4),
)
BATCHES = (1, 5, 34)  # the last is a whole epoch
CUT = "right after the cut"


def plan_in(checkpoint: Path) -> PruningPlan:
    """Return the plan that a checkpoint holds.

    Raises:
        ValueError: when it holds none, being from before the cut.
    """
    states = torch.load(checkpoint, map_location="cpu", weights_only=True)["callbacks"].values()
    plans = [state["plan"] for state in states if state.get("plan")]
    if not plans:
        raise ValueError(f"{checkpoint}: expected a checkpoint from after the cut, got one without a plan")
    return PruningPlan.from_dict(plans[0])


def figures(config: DictConfig, folder: Path) -> Result:
    """Return the validation accuracy of a run's network before and right after the cut, and recalibrated."""
    data = build_data(config)
    before, cut = (load_weights(build_model(config, data), folder / "sparsified.pt") for _ in range(2))
    apply_plan(cut, plan_in(folder / "checkpoints" / "last.ckpt"))
    networks = {"before the cut": before, CUT: cut}
    networks |= {_recalibrated(count): recalibrated(cut, data, count) for count in BATCHES}
    return {"val_accuracy": evaluate(networks, data, torch.device("cpu"), "val")}


def _recalibrated(count: int) -> str:
    return f"recalibrated, {count} {'batch' if count == 1 else 'batches'}"


def table(found: Sequence[Result]) -> str:
    """Return a markdown table in per cent, one row per arm; recalibrated: the gain over the cut network, in points."""
    columns = list(found[0]["val_accuracy"])
    gains = columns[columns.index(CUT) + 1 :]
    lines = [f"| {' | '.join(['arm', 'seeds', *columns])} |", f"|{'---|' * (len(columns) + 2)}"]
    for arm in dict.fromkeys(one["arm"] for one in found):
        runs = [one["val_accuracy"] for one in found if one["arm"] == arm]
        plain = [_spread([run[name] for run in runs], "{:.2f}") for name in columns if name not in gains]
        more = [_spread([run[name] - run[CUT] for run in runs], "{:+.2f}") for name in gains]
        lines.append(f"| {' | '.join([arm, str(len(runs)), *plain, *more])} |")
    return "\n".join(lines) + "\n"


def _spread(shares: Sequence[float], form: str) -> str:
    middle = form.format(100 * mean(shares))
    return f"{middle} ± {100 * stdev(shares):.2f}" if len(shares) > 1 else middle


if __name__ == "__main__":
    look_again(COMPARISON, figures, table, __doc__)
