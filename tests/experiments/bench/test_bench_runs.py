"""The runner of experiments: resumable runs, results and table."""

import json
from pathlib import Path
from typing import Any

import pytest
from reported import REPORT

from experiments.bench import runs as bench
from experiments.bench.runs import Arm, run_arms, save, stored, table, write_table
from experiments.training.sweeps.figures import hardware
from physprune_pl.reports.report import PruningReport

ARMS = [Arm("dense", ("force=none", "target=none", "finetune=none")), Arm("gravity", ("force=gravity",))]


def test_what_has_a_report_is_not_run_again(tmp_path: Path) -> None:
    ran = []

    def run(config: Any) -> tuple[PruningReport, float]:
        ran.append((config.seed, config.paths.output, config.baseline))
        REPORT.save(config.paths.output)
        return REPORT, 1.0

    results = list(run_arms(ARMS, [0, 1], tmp_path, run))
    assert [(one["arm"], one["seed"]) for one in results] == [
        *(("dense", 0), ("gravity", 0), ("dense", 1), ("gravity", 1)),
    ]
    assert ran[0] == (0, str(tmp_path / "dense/0"), None)
    assert ran[1] == (0, str(tmp_path / "gravity/0"), str(tmp_path / "dense/0/checkpoints/best.ckpt"))
    assert list(run_arms(ARMS, [0, 1], tmp_path, run)) == results
    assert len(ran) == 4


def test_table_and_results(tmp_path: Path) -> None:
    results = [
        {"arm": "gravity", "seed": seed, **json.loads(REPORT.to_json()), "metric": {**REPORT.metric, "after_cut": cut}}
        for seed, cut in enumerate((0.98, 0.99))
    ]
    text = table(results)
    assert "| gravity | 2 | 3.33 ± 0.00x fewer |" in text
    assert "| - | 99.00 ± 0.00 | 98.50 ± 0.71 | 99.25 ± 0.00 | 0.50 ± 0.00 | 0.40 ± 0.00 | 1.0 ± 0.0 |" in text
    save(results, "python", tmp_path / "results.json")
    page = json.loads((tmp_path / "results.json").read_text())
    assert page.keys() == {"command", "hardware", "versions", "results"}
    assert {one["processor"] for one in page["results"]} == {page["hardware"]["processor"]}
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n")
    write_table(readme, text)
    assert readme.read_text() == f"before\n<!-- table -->\n{text}<!-- end of table -->\nafter\n"
    readme.write_text("nothing")
    with pytest.raises(ValueError, match="expected the lines"):
        write_table(readme, text)


def test_results_keep_the_processor_that_they_were_found_on(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    save([{"arm": "dense", "seed": 0, "processor": "another"}, {"arm": "dense", "seed": 1}], "python", path)
    assert [one["processor"] for one in stored(path)] == ["another", hardware()["processor"]]


def test_all_committed_results_name_their_processor() -> None:
    pages = [json.loads(path.read_text()) for path in Path(bench.__file__).parents[1].rglob("*.json")]
    # Those of `save`; other files say once what all of their rows were found on.
    results = [one for page in pages if {"command", "hardware", "results"} <= page.keys() for one in page["results"]]
    assert len(results) > 800
    assert all(one["processor"] for one in results)
