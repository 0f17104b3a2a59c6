"""Figures of several runs: every run counts where it measured something."""

from experiments.training.sweeps.figures import ArmFigures, percent


def run(pruned, dense=None, final=None):
    metric = {"dense": dense, "after_finetune": final}
    costs = {"dense": 8, "pruned": pruned}
    return {"macs": costs, "params": costs, "latency_ms": {"batch_1": costs}, "metric": metric, "seconds": {"a": 60.0}}


def test_figures_of_an_arm():
    figures = ArmFigures.of([run(2, 0.75, 0.5), run(4, 0.75), run(8, None, 0.25)])
    assert figures.kept("macs") == figures.kept("batch_1") == [0.25, 0.5, 1.0]
    assert figures.less("params") == [4.0, 2.0, 1.0]
    assert figures.scores("dense") == [0.75, 0.75]
    assert figures.final == [0.5, 0.75, 0.25]
    assert figures.lost == [0.25]
    assert figures.minutes == [1.0, 1.0, 1.0]


def test_shares_in_per_cent():
    assert percent([0.25, 0.75]) == "50.00 ± 35.36"
    assert percent([]) == "-"
