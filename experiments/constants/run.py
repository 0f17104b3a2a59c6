"""Whether folding the constants of removed channels helps: ``python -m experiments.constants.run``."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Literal

from omegaconf import DictConfig
from torch import Tensor

from experiments.bench.finished_networks import look_again
from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import Result
from experiments.constants.folding import fold
from experiments.recalibration.run import plan_in
from experiments.training.assembly import build_data, build_model, load_weights
from experiments.training.evaluation import evaluate
from experiments.training.outcome import CPU
from experiments.training.sweeps.figures import spread
from physprune_pl import apply_plan

# The recommended law and epochs; one epoch of fine-tuning, as the checkpoint that ends it holds the plan.
COMPARISON = LawComparison(
    "constants", ("experiment=demo",), 0.3, ("none", "uniform", "exponential"), sparsify=40, finetune=1
)
BEFORE, CUT = "before the cut", "right after the cut"
STEADINESS = {"constants folded": 0.01, "all means folded": math.inf}
WORTHWHILE = 0.2
"""Points that folding must gain under the recommended settings, the last arm, to be kept."""


def _whole(batch: Tensor) -> Iterable[Tensor]:
    return (batch,)


def figures(config: DictConfig, folder: Path, parts: Callable[[Tensor], Iterable[Tensor]] = _whole) -> Result:
    """Return accuracies by split and network of a run, and how many inputs of layers were folded.

    Args:
        config: of the run.
        folder: of the run.
        parts: what the means of a batch are taken of.
    """
    data = build_data(config)
    data.setup()
    dense = load_weights(build_model(config, data), folder / "sparsified.pt")
    plan = plan_in(folder / "checkpoints" / "last.ckpt")
    batches = [part for batch in data.train_dataloader() for part in parts(data.prepare(batch, augment=True)[0])]
    networks, counts = {BEFORE: dense, CUT: apply_plan(copy.deepcopy(dense), plan)}, {}
    for name, steadiness in STEADINESS.items():
        folded = copy.deepcopy(dense)
        counts[name] = fold(folded, plan, batches, steadiness)
        networks[name] = apply_plan(folded, plan)
    splits: tuple[Literal["val", "test"], ...] = ("val", "test")
    return {"inputs": counts, "accuracy": {split: evaluate(networks, data, CPU, split) for split in splits}}


def accuracy(result: Result, network: str) -> float:
    """Return the mean of the accuracies on both splits in per cent."""
    return 100.0 * float(mean(split[network] for split in result["accuracy"].values()))


def table(found: Sequence[Result]) -> str:
    """Return a markdown table, one row per arm; the columns of folding are gains over the plain cut, in points."""
    columns = ["arm", "seeds", BEFORE, CUT, *STEADINESS, *(f"inputs: {name}" for name in STEADINESS)]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for arm in dict.fromkeys(one["arm"] for one in found):
        runs = [one for one in found if one["arm"] == arm]
        cells = [spread([accuracy(run, name) for run in runs], "{:.2f}") for name in (BEFORE, CUT)]
        cells += [spread(gains(runs, name), "{:.2f}") for name in STEADINESS]
        cells += [_share([run["inputs"][name] for run in runs]) for name in STEADINESS]
        lines.append(f"| {' | '.join([arm, str(len(runs)), *cells])} |")
    gain = mean(gains([one for one in found if one["arm"] == found[-1]["arm"]], next(iter(STEADINESS))))
    verdict = "worth keeping" if gain >= WORTHWHILE else "not kept"
    lines += ["", f"Gain of folding constants under {found[-1]['arm']}: {gain:+.2f} points; asked for: {WORTHWHILE}: "]
    return "\n".join(lines) + f"{verdict}.\n"


def gains(runs: Sequence[Result], network: str) -> list[float]:
    """Return what folding gains over the plain cut, run by run, in points."""
    return [accuracy(run, network) - accuracy(run, CUT) for run in runs]


def _share(counts: Sequence[Mapping[str, int]]) -> str:
    return f"{sum(count['folded'] for count in counts) / sum(count['removed'] for count in counts):.1%}"


if __name__ == "__main__":
    look_again(COMPARISON, figures, table, __doc__)
