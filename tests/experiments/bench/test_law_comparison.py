"""The comparisons of the experiments: fair arms, and results where they belong."""

import json
from pathlib import Path
from typing import Any

import pytest
from reported import REPORT

from experiments.bench.committed_results import DATA_SETS, FOLDER, comparison
from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import AT
from experiments.training.assembly import build_pruning, composed
from physprune_pl.reports.report import PruningReport


@pytest.mark.parametrize("name", DATA_SETS)
def test_dense_none_and_uniform_are_always_among_the_arms(name: str) -> None:
    arms = comparison(name).arms
    assert arms[0].name == "dense"
    assert {"none", "uniform"} <= {arm.name for arm in arms}
    assert (FOLDER / comparison(name).name / "README.md").is_file()


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_arm_trains_as_many_epochs_toward_the_target_of_its_name(name: str) -> None:
    # The name of an arm is a folder, which Hydra must be able to read.
    configs = {arm.name: composed([*arm.overrides, f"paths.output=out/{arm.name}"]) for arm in comparison(name).arms}
    assert [config.paths.output for config in configs.values()] == [f"out/{arm}" for arm in configs]
    assert len({config.trainer.max_epochs + config.finetune.epochs for config in configs.values()}) == 1
    assert build_pruning(configs.pop("dense"))[1] is None
    shares = {arm: arm.partition(AT)[2] or str(comparison(name).share) for arm in configs}
    assert {arm: str(config.target[comparison(name).kind]) for arm, config in configs.items()} == shares
    others = {
        tuple(sorted(set(config.target.items()) - {(comparison(name).kind, float(share))}))
        for config, share in zip(configs.values(), shares.values(), strict=True)
    }
    assert len(others) == 1


def test_chosen_arms_are_added_to_the_results_that_there_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The dense network is run for them to be compared with; everything else stays."""
    monkeypatch.setattr("experiments.bench.law_comparison.__file__", str(tmp_path / "bench" / "law_comparison.py"))
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "README.md").write_text("<!-- table -->\n<!-- end of table -->\n")
    ran = []

    def run(config: Any) -> tuple[PruningReport, float]:
        ran.append(Path(config.paths.output).parent.name)
        REPORT.save(config.paths.output)
        return REPORT, 1.0

    monkeypatch.setattr("experiments.bench.law_comparison.run", run)
    compared = LawComparison("x", (), 0.5, ("none", "gravity"), 1, 1, (0,), {"far": ("force=gravity", "pivot=middle")})
    for arms in (("none",), ("far",)):
        compared.main(["--arms", *arms, "--runs", str(tmp_path / "runs")])
    assert ran == ["dense", "none", "far"]
    page = json.loads((tmp_path / "x" / "results.json").read_text())
    assert [one["arm"] for one in page["results"]] == ["dense", "none", "far"]
    assert "pivot=middle" in page["results"][2]["overrides"]
    assert "| far | 1 |" in (tmp_path / "x" / "README.md").read_text()
