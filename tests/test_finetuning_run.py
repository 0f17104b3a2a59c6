"""Networks from before the cut, fine-tuned at several learning rates."""

from __future__ import annotations

from pathlib import Path

import pytest
from configured import ADVICE

from experiments.assembly import composed
from experiments.compare import Comparison
from experiments.finetuning.run import ARMS, FACTORS, HEAD, SETS, Source, finetuned, main, table
from train import run

FEW = tuple(f"+trainer.limit_{split}_batches=2" for split in ("train", "val", "test"))


pytestmark = [pytest.mark.filterwarnings(one) for one in ADVICE]


@pytest.fixture(scope="module")
def pressed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Source, Path]:
    """The arms of a small comparison, and the folder of their runs, of which one is there."""
    runs = tmp_path_factory.mktemp("runs")
    compared = Comparison("small", ("data=digits", "model=lenet5", "logger=none", *FEW), 0.4, ARMS, 1, 1)
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


def test_the_rate_is_what_differs(pressed: tuple[Source, Path]) -> None:
    source, runs = pressed
    low, high = (finetuned(source, "uniform", 3, factor, runs) for factor in (1e-9, 1.0))
    assert low["after"] == high["after"]
    assert low["final"] == pytest.approx(low["after"], abs=0.05)  # batch norm still learns its statistics
    assert 0.0 <= high["final"] <= 1.0


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
