"""Laws against uniform, seed by seed."""

from typing import Any

import pytest

from experiments.bench.paired import differences, sign_test, table


def run(arm: str, seed: int, score: float | None) -> dict[str, Any]:
    return {"arm": arm, "seed": seed, "metric": {"after_finetune": score}}


def test_only_seeds_that_both_have_are_compared() -> None:
    found = [run("dense", 0, None), run("uniform", 0, 0.9), run("uniform", 1, 0.8), run("torque", 1, 0.85)]
    assert differences(found, "torque", "uniform") == [5.0]
    assert differences(found, "gravity", "uniform") == []


@pytest.mark.parametrize(("ahead", "behind", "expected"), [(0, 0, 1.0), (3, 0, 0.25), (1, 5, 14 / 64), (4, 4, 1.0)])
def test_the_sign_test_counts_what_is_as_lopsided(ahead: int, behind: int, expected: float) -> None:
    """Counted by hand: of one to five 2 * (1 + 6) of 64 outcomes are as lopsided."""
    assert sign_test(ahead, behind) == sign_test(behind, ahead) == expected


def test_a_row_per_target_and_all_pairs_in_the_end() -> None:
    plain = [run("uniform", 0, 0.5), run("none", 0, 0.4), run("uniform on filters", 0, 0.1)]
    curves = [run(f"{arm} at 0.3", seed, score) for arm, score in (("uniform", 0.5), ("none", 0.6)) for seed in (0, 1)]
    lines = [line.split(" | ") for line in table({"plain": plain, "curves": curves}).splitlines()]
    assert lines[0][:3] == ["| fine-tuned, points over uniform", "none", "torque"]
    assert lines[2][:3] == ["| plain", "-10.00 (1)", "-"]
    assert lines[3][:2] == ["| curves, 30%", "+10.00 ± 0.00 (2)"]
    assert lines[4][:3] == ["| pairs ahead : behind", "2 : 1", "0 : 0"]
    assert lines[5][:3] == ["| sign test, p", "1", "1"]
