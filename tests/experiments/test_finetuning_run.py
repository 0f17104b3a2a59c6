"""Networks from before the cut, fine-tuned at several learning rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from configured import ADVICE
from omegaconf import DictConfig

from experiments.bench.law_comparison import LawComparison
from experiments.bench.phases import accuracy_of_phases
from experiments.finetuning.run import ARMS, FACTORS, HEAD, SETS, Source, finetuned, main, table
from experiments.training.assembly import composed
from experiments.training.run import run

FEW = tuple(f"+trainer.limit_{split}_batches=2" for split in ("train", "val", "test"))
pytestmark = [pytest.mark.filterwarnings(one) for one in ADVICE]


@pytest.fixture(scope="module")
def pressed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Source, Path]:
    """The arms of a small comparison, and the folder of their runs, of which one is there."""
    runs = tmp_path_factory.mktemp("runs")
    compared = LawComparison("small", ("data=digits", "model=lenet5", "logger=none", *FEW), 0.4, ARMS, 1, 1)
    source = Source("small", {arm.name: arm for arm in compared.arms[1:]})
    folder = runs / "small" / "uniform" / "3"
    run(composed([*source.arms["uniform"].overrides, "seed=3", f"paths.output={folder}"]))
    return source, runs


@pytest.mark.parametrize("name", SETS)
def test_every_set_has_both_arms_with_the_same_target(name: str) -> None:
    arms = SETS[name].arms
    assert sorted(arms) == sorted(ARMS)
    targets = {composed(arm.overrides).target.macs for arm in arms.values()}
    assert len(targets) == 1
    assert name.endswith("%") is SETS[name].folder.startswith("targets/")


def test_the_rate_is_what_differs(pressed: tuple[Source, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source, runs = pressed
    seen = []

    def watched(config: DictConfig, *rest: Any) -> dict[str, float]:
        seen.append(config)
        return accuracy_of_phases(config, *rest)

    monkeypatch.setattr("experiments.finetuning.run.accuracy_of_phases", watched)
    found = [finetuned(source, "uniform", 3, factor, runs) for factor in (0.1, 1.0)]
    assert found[0]["after"] == found[1]["after"]
    assert all(0.0 <= one["final"] <= 1.0 for one in found)
    assert [config.finetune.lr for config in seen] == pytest.approx([0.005, 0.05])
    assert [(config.trainer.max_epochs, config.force, config.target.macs) for config in seen] == [(0, None, 0.4)] * 2


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"uniform/0/sparsified\.pt"):
        finetuned(SETS["digits"], "uniform", 0, 1.0, tmp_path)


def test_the_table_has_a_column_per_rate() -> None:
    found = [
        {
            "data": "digits",
            "arm": "none",
            "seed": seed,
            "factor": factor,
            "val_accuracy": {"after": 0.1, "final": 0.5 + factor / 10 + seed / 100},
        }
        for seed in (0, 2)
        for factor in FACTORS
    ]
    lines = table(found).splitlines()
    assert lines[0] == f"| {' | '.join(HEAD)} |"
    assert lines[2] == "| digits | none | 2 | 10.00 ± 0.00 | 52.00 ± 1.41 | 54.00 ± 1.41 | 61.00 ± 1.41 |"


def test_the_help_names_the_sets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "targets, digits, 7%" in " ".join(capsys.readouterr().out.split())
