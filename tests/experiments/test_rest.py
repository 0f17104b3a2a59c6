"""How far steering presses, and what it costs to go on."""

from __future__ import annotations

import pytest

from experiments.bench.runs import stored
from experiments.rest import run as rest
from experiments.steering.run import Setting


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, object]]:
    few = tuple(f"+trainer.limit_{split}_batches=4" for split in ("train", "val"))
    small = {"lenet5": Setting(("experiment=demo", "model=lenet5", "force=uniform", *few), 12, 1)}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rest, "NETWORKS", small)
        return {arm: rest.run("lenet5", arm, 3) for arm in rest.ARMS}


def test_both_arms_end_with_the_same_target_and_lose_nothing_by_the_cut(
    found: dict[str, dict[str, dict[str, float]]],
) -> None:
    for one in found.values():
        scores = one["val_accuracy"]
        assert scores["after_cut"] == scores["after_sparsify"]
        assert len(one["epoch_seconds"]) == 12
        assert all(seconds > 0 for seconds in one["epoch_seconds"])


def test_late_epochs_are_compared_with_early_ones() -> None:
    assert rest.slowdown([1.0] * 10 + [4.0] * 5 + [3.0] * 5) == 3.0


def test_rows_are_mean_and_deviation_over_the_seeds() -> None:
    scores = {"after_sparsify": 0.9, "after_cut": 0.8, "final": 0.95}
    rows = [
        {
            "network": "lenet5",
            "arm": "no end",
            "seed": seed,
            "val_accuracy": scores,
            "epoch_seconds": [1.0, 1.0, 1.0, seed],
        }
        for seed in (2.0, 4.0)
    ]
    line = "| lenet5 | no end | 2 | 90.00 ± 0.00 | 10.00 ± 0.00 | 95.00 ± 0.00 | 3.00 ± 1.41 |"
    assert line in rest.table(rows)


def test_the_table_is_that_of_the_results() -> None:
    assert rest.table(stored(rest.FOLDER / "results.json")) in (rest.FOLDER / "README.md").read_text()
