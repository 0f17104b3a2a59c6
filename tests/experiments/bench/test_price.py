"""What pressing and cutting cost before any fine-tuning."""

from typing import Any

from experiments.bench.price import cut_cost, phase_cost, table


def run(arm: str, seed: int, before: float, after: float) -> dict[str, Any]:
    return {"arm": arm, "seed": seed, "metric": {"after_sparsify": before, "after_cut": after}}


def test_the_phase_is_compared_with_the_unpressed_network_of_the_same_seed() -> None:
    found = [run("none", 0, 0.9, 0.1), run("uniform", 0, 0.8, 0.8), run("uniform", 1, 0.7, 0.7)]
    assert phase_cost(found, "uniform") == [10.0]
    assert phase_cost(found, "gravity") == []


def test_every_run_says_what_its_own_cut_cost() -> None:
    found = [run("none", 0, 0.9, 0.1), run("uniform", 0, 0.8, 0.8), run("uniform", 1, 0.7, 0.75)]
    assert cut_cost(found, "none") == [80.0]
    assert cut_cost(found, "uniform") == [0.0, -5.0]


def test_a_table_for_the_phase_and_one_for_the_cut() -> None:
    plain = [run("none", 0, 0.9, 0.1), run("uniform", 0, 0.897, 0.895), run("uniform on filters", 0, 0.5, 0.2)]
    curves = [run(f"{law} at 0.3", 0, *scores) for law, scores in (("none", (0.5, 0.2)), ("uniform", (0.4, 0.3)))]
    lines = [line.split(" | ") for line in table({"plain": plain, "curves": curves}).splitlines()]
    assert lines[0][:2] == ["| lost by the phase under force, points", "uniform"]
    assert lines[2][:3] == ["| plain", "+0.30 (1)", "-"]
    assert lines[3][:2] == ["| curves, 30%", "+10.00 (1)"]
    assert lines[4][:3] == ["| runs that lost 0.3 at most", "1 of 2", "0 of 0"]
    assert lines[6][:3] == ["| lost by the cut, points", "none", "uniform"]
    assert lines[8][:3] == ["| plain", "+80.00 (1)", "+0.20 (1)"]
    assert lines[10][:3] == ["| runs that lost 0.2 at most", "0 of 2", "1 of 2"]
