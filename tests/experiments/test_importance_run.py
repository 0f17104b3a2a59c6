"""The study of what is removed: what its arms tell train.py, and the table of what they found."""

import pytest

from experiments.importance.run import ARMS, DENSE, HEAD, SELECTIONS, SETS, Arm, fitted, table
from experiments.training.assembly import build_selection, composed
from physprune_pl.selections import ByLaw, ByStrength, ByTaylor, resolve_selection

EXPECTED = {
    "strength": ByStrength(),
    "law": ByLaw(),
    "taylor": ByTaylor(),
    "strength, no scale": ByStrength(scale="none"),
    "taylor, no scale": ByTaylor(scale="none"),
}


@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_every_arm_trains_as_long_and_selects_as_it_says(arm):
    for job in SETS.values():
        config = composed(arm.overrides(job))
        assert config.trainer.max_epochs + config.finetune.epochs == job.sparsify + job.finetune
        if arm != DENSE:
            assert resolve_selection(build_selection(config.select)) == EXPECTED[arm.select]
            assert config.target.macs == job.macs
    assert EXPECTED.keys() == SELECTIONS.keys()


def row(force, select, seed, score):
    accuracy = {"val": score, "test": score}
    found = {"accuracy": accuracy, "seconds": {"processor": 9.0, "wall": 20.0}, "macs_share": 0.15, "not_arrived": []}
    moments = {} if select is None else {"moments": {"after_sparsify": 0.75, "after_cut": 0.25}}
    return {"data": "digits", "force": force, "select": select, "seed": seed, **found, **moments}


def test_the_table_compares_within_a_seed_and_a_force():
    found = [row("none", None, 0, 1.0), row("uniform", "strength", 0, 0.5), row("uniform", "strength", 1, 0.25)]
    found += [row("uniform", "taylor", 0, 0.75), row("exponential", "taylor", 0, 0.5)]
    lines = table(found).splitlines()
    assert lines[0] == f"| {' | '.join(HEAD)} |"
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert [one[2] for one in cells] == ["dense", "strength", "taylor", "taylor"]
    assert cells[0][5:9] == ["-", "-", "100.00", "-"]
    assert cells[1][5:9] == ["75.00 ± 0.00", "25.00 ± 0.00", "37.50 ± 17.68", "-"]
    assert cells[2][5:9] == ["75.00", "25.00", "75.00", "+25.00 (1)"]
    assert cells[3][8] == "-", "nothing under the same force to compare with"


def test_an_arm_is_fitted():
    job = type(SETS["digits"])(("data=digits", "model=resnet20", "data.batch_size=512"), 0.5, 2, 1)
    found = fitted(job, Arm("uniform", "taylor"), 0)
    assert 0 < found["moments"]["after_cut"] <= 1
    assert found["macs_share"] == pytest.approx(0.5, abs=0.02)
