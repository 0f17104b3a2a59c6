"""What the time of a missed goal is made of: ``python -m experiments.goals.missed_goals``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from statistics import median
from typing import Any
from unittest.mock import patch

import lightning as L
import torch
from torch import Tensor

from experiments.goals import tracker, training_cost
from experiments.goals.stored_figures import Row, keep, write_page
from physprune_pl import ChannelTracker, ForceRegularization
from physprune_pl.callbacks import channel_tracker
from physprune_pl.callbacks.tracker.scalars import summary
from physprune_pl.history import ChannelHistory

CASE = "resnet56 on digits"
ROUNDS = 3

# Kinds of callbacks that the whole job goes without.
PARTS: dict[str, tuple[type[L.Callback], ...]] = {
    "all": (),
    "without tracker": (ChannelTracker,),
    "without force": (ForceRegularization,),
    "without both": (ChannelTracker, ForceRegularization),
}

# What the tracker's time of an epoch goes to: owner and name of the function that does it.
STAGES: dict[str, tuple[Any, str]] = {
    "rows of the record": (channel_tracker, "epoch_rows"),
    "numbers of each group": (channel_tracker, "summary"),
    "bytes of file and checkpoint": (ChannelHistory, "encode"),
}


def job_apart(case: training_cost.TrainingCase) -> Row:
    """Return the processor time of the job without each part, as a share of that of as many dense epochs.

    Fits of one seed run one right after the other, in another order for every seed. ``trace`` is by the clock, and
    ``epoch after the cut`` is one of fine-tuning in dense epochs.

    Args:
        case: what is trained.
    """
    settings = training_cost.arms(case.sparsify, case.finetune)
    fits: dict[str, list[Row]] = {name: [] for name in ("dense", *PARTS)}
    for place, seed in enumerate(case.seeds):
        names = list(fits)
        for name in names[place % len(names) :] + names[: place % len(names)]:
            arm = settings["dense" if name == "dense" else "job"]
            fits[name].append(training_cost.fitted([*case.overrides, *arm, f"seed={seed}"], PARTS.get(name, ())))
    found = {name: _share(fits[name], fits["dense"]) for name in PARTS}
    phases = [fit["phases"] for fit in fits["all"]]
    dense = [fit["clock"] / (case.sparsify + case.finetune) for fit in fits["dense"]]
    found["trace"] = median(one["trace"] / fit["clock"] for one, fit in zip(phases, fits["dense"], strict=True))
    epochs = [one["finetune"] / case.finetune for one in phases]
    found["epoch after the cut"] = median(one / epoch for one, epoch in zip(epochs, dense, strict=True))
    return {"way": "job apart", "job_apart": found, "seeds": list(case.seeds), "fits": fits}


def _share(fits: list[Row], dense: list[Row]) -> float:
    return float(median(one["processor"] / other["processor"] for one, other in zip(fits, dense, strict=True)))


def overall_alone(strengths: Mapping[str, Tensor], each_group: bool = True) -> dict[str, Tensor]:  # noqa: ARG001
    """Return the numbers of all groups together without those of each, whatever is asked for."""
    return summary(strengths, each_group=False)


def tracker_apart(case: str, rounds: int = ROUNDS, epochs: int = tracker.EPOCHS) -> Row:
    """Return the tracker's milliseconds of an epoch by what they go to, and with less to log.

    Stages are means over the epochs, the others medians; then of all of them the median over the rounds.

    Args:
        case: name in :data:`experiments.goals.tracker.CASES`.
        rounds: each has one fit of either kind.
        epochs: of a fit.
    """
    ways: dict[str, Callable[[], AbstractContextManager[Any]]] = {
        "all": nullcontext,
        "overall numbers alone": partial(patch.object, channel_tracker, "summary", overall_alone),
    }
    found: dict[str, list[float]] = {name: [] for name in (*ways, *STAGES)}
    for _ in range(rounds):
        for way, entered in ways.items():
            with entered(), timed(STAGES) as spent:
                found[way].append(tracker.measured(case, epochs)["tracker"])
            if way == "all":
                for stage, milliseconds in spent.items():
                    found[stage].append(milliseconds / epochs)
    medians = {name: median(times) for name, times in found.items()}
    medians["the rest, nearly all Lightning's logging"] = medians["all"] - sum(medians[stage] for stage in STAGES)
    return {"way": "tracker apart", "epochs": epochs, "tracker_apart": medians}


@contextmanager
def timed(stages: Mapping[str, tuple[Any, str]]) -> Iterator[dict[str, float]]:
    """Add up the processor time of functions, in milliseconds, while entered."""
    spent = dict.fromkeys(stages, 0.0)
    with ExitStack() as stack:
        for stage, (owner, name) in stages.items():
            stack.enter_context(patch.object(owner, name, _counted(getattr(owner, name), spent, stage)))
        yield spent


def _counted(function: Callable[..., Any], spent: dict[str, float], stage: str) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent[stage] += 1000.0 * (time.process_time() - start)

    return counted


def main() -> None:
    """Measure and store."""
    torch.set_num_threads(1)
    keep("apart", {"network": CASE} | tracker_apart(CASE))
    keep("apart", {"network": CASE} | job_apart(training_cost.CASES[CASE]))
    write_page()


if __name__ == "__main__":
    main()
