"""The study of gradual removal: what its arms tell train.py, and the table of what they found."""

from dataclasses import replace

import lightning as L

from experiments.gradual import run
from experiments.gradual.run import ARMS, DENSE, FORCES, HEAD, RATES, SETS, Arm, Setting, fitted, table
from experiments.training.assembly import composed

TINY = Setting(("data=digits", "model=resnet20", "data.batch_size=512"), 0.5, 3, 1)


def test_every_arm_trains_the_same_number_of_epochs():
    for job in SETS.values():
        for arm in ARMS:
            config = composed(arm.overrides(job))
            assert config.trainer.max_epochs + config.finetune.epochs == job.sparsify + job.finetune
    assert len(ARMS) == 1 + 3 * len(FORCES) * len(RATES)


def row(removal, seed, score, cost, seconds):
    arm = {"removal": removal, "force": "uniform" if removal else "none", "rate": "default"}
    times = {"processor": seconds, "wall": 2 * seconds}
    accuracy = {"val": score, "test": score}
    found = {"accuracy": accuracy, "seconds": times, "macs_share": 0.4, "cost": cost, "not_arrived": []}
    return {"data": "digits", "seed": seed, **arm, **found}


def test_the_table_compares_within_a_seed():
    found = [row(None, 0, 0.5, 1.0, 10.0), row("once", 0, 0.75, 0.8, 9.0), row("gradual", 0, 0.5, 0.5, 5.0)]
    lines = table(found).splitlines()
    assert lines[0] == f"| {' | '.join(HEAD)} |"
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert [one[1] for one in cells] == ["dense", "once", "gradual"]
    assert cells[2][6:] == ["50.00", "-25.00 (1)", "0.50", "0.50", "0.50", "0.0"]


class Counted(L.Callback):
    """Counts the fits that it is part of."""

    fits = 0

    def on_fit_start(self, trainer, pl_module):
        Counted.fits += 1


def test_the_dense_fit_of_jobs_that_differ_in_their_target_is_shared():
    job = replace(TINY, overrides=(*TINY.overrides, "round_to=2"), sparsify=1, finetune=0, beside=(Counted,))
    assert fitted(job, DENSE, 0) is fitted(replace(job, macs=0.4), DENSE, 0)
    assert Counted.fits == 1


def test_an_arm_is_fitted():
    found = fitted(TINY, Arm("once", "uniform"), 0)
    assert found["epochs"]["macs"][0] > found["epochs"]["macs"][-1]
    assert 0 < found["cost"] < 1
    assert found["seconds"]["wall"] > 0
    assert DENSE in run.ARMS
