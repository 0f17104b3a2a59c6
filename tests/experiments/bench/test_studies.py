"""Studies run what is missing, and nothing is lost when a run fails."""

import pytest

from experiments.bench.runs import stored
from experiments.bench.studies import completed


def test_what_is_there_is_not_run_again_and_all_is_in_order(tmp_path):
    path, asked = tmp_path / "results.json", []

    def fit(row):
        asked.append(row["seed"])
        if row["seed"] == 3:
            raise RuntimeError("power cut")
        return {"score": 10 * row["seed"]}

    def key(row):
        return row["seed"]

    completed(path, [{"seed": 2}], key, fit)
    with pytest.raises(RuntimeError, match="power cut"):
        completed(path, [{"seed": seed} for seed in (1, 2, 3)], key, fit)
    assert asked == [2, 1, 3]
    assert [(one["seed"], one["score"]) for one in stored(path)] == [(1, 10), (2, 20)]
    assert completed(path, [], key, fit) == stored(path)
