"""The laws at several targets: fair arms, and tables and pictures that say what was run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.bench.runs import Arm
from experiments.targets import curves, picture
from experiments.targets import run as targets
from experiments.targets.run import SETS
from experiments.training.assembly import composed


def result(arm: str, seed: int, share: float, score: float) -> dict[str, Any]:
    phases = dict.fromkeys(("dense", "after_sparsify", "after_cut", "after_finetune"), score)
    cost = {"dense": 10.0, "pruned": 10.0 * share}
    return {"arm": arm, "seed": seed, "macs": cost, "latency_ms": {"batch_32": cost}, "metric": phases}


RUNS = [
    result("dense", 0, 1.0, 0.9),
    result("uniform at 0.1", 0, 0.1, 0.5),
    result("uniform at 0.5", 0, 0.5, 0.7),
    result("uniform at 0.5", 1, 0.5, 0.8),
    result("gravity at 0.5", 0, 0.5, 0.6),
]


@pytest.mark.parametrize("name", SETS)
def test_every_law_meets_every_target_after_as_many_epochs(name: str) -> None:
    arms = SETS[name].arms
    configs = {arm.name: composed([*arm.overrides, f"paths.output=out/{arm.name}"]) for arm in arms}
    dense = configs.pop("dense")
    assert {config.trainer.max_epochs + config.finetune.epochs for config in configs.values()} == {
        dense.trainer.max_epochs
    }
    for arm, config in configs.items():
        assert config.target.macs == curves.law_and_share(arm)[1]
    laws = {curves.law_and_share(arm)[0] for arm in configs}
    assert laws >= {"none", "uniform"}
    assert len(configs) == len(laws) * len(SETS[name].targets)


def test_a_table_has_a_row_per_law_and_a_column_per_target() -> None:
    text = curves.tables(RUNS)
    assert "| fine-tuned; dense 90.00 | 50% | 10% |" in text
    assert "| uniform | 75.00 ± 7.07 | 50.00 |" in text
    assert "| gravity | 60.00 | - |" in text


def test_a_curve_is_drawn_for_every_law(tmp_path: Path) -> None:
    picture.draw(RUNS, tmp_path / "curves.svg")
    drawn = (tmp_path / "curves.svg").read_text()
    assert drawn.startswith("<?xml")
    axes = [f"{cost}, share of the dense network" for cost in picture.COSTS]
    assert [name for name in ("uniform", "gravity", "dense", *axes) if f"<!-- {name} -->" not in drawn] == []


def test_chosen_laws_and_targets_are_run_and_others_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(targets, "FOLDER", tmp_path)
    (tmp_path / "README.md").write_text("<!-- table -->\n<!-- end of table -->\n")
    ran: list[str] = []

    def run_arms(arms: list[Arm], seeds: list[int], *_: object) -> Iterator[dict[str, Any]]:
        for arm in arms:
            ran.append(arm.name)
            yield result(arm.name, seeds[0], 0.5, 0.5)

    monkeypatch.setattr(targets, "run_arms", run_arms)
    for law in ("uniform", "gravity"):
        targets.main(["--sets", "digits", "--laws", law, "--shares", "0.07", "0.3", "--seeds", "3"])
    assert ran == [
        *("dense", "uniform at 0.3", "uniform at 0.07"),
        *("dense", "gravity at 0.3", "gravity at 0.07"),
    ]
    names = [one["arm"] for one in json.loads((tmp_path / "digits.json").read_text())["results"]]
    assert names == ["dense", "uniform at 0.3", "gravity at 0.3", "uniform at 0.07", "gravity at 0.07"]
    assert "digits:" in (tmp_path / "README.md").read_text()
    with pytest.raises(SystemExit):
        targets.main(["--sets", "digits", "--shares", "0.4"])
