"""The scalars of an epoch, per group and overall."""

import pytest
import torch

from physprune_pl.callbacks.tracker.scalars import summary

# One group of equal channels, one where two of eight hold everything.
STRENGTHS = {"one": torch.full((4,), 3.0), "two": torch.tensor([0.0, 2.0, 0.0, 0.01, 0.0, 2.0, 0.0, 0.0])}

# Ranks 6, 7 and 8 of the second group; the others are zero.
GINI = (0.01 * 3 + 2 * 5 + 2 * 7) / (8 * 4.01)


def test_every_scalar_is_there_for_every_group_and_overall():
    names = ("strength", "near_zero", "effective_channels", "concentration")
    assert set(summary(STRENGTHS)) == {f"physprune/{name}{group}" for name in names for group in ("", "/one", "/two")}


def test_the_scalars_of_every_group_can_be_left_out():
    names = ("strength", "near_zero", "effective_channels", "concentration")
    overall = summary(STRENGTHS, each_group=False)
    assert set(overall) == {f"physprune/{name}" for name in names}
    assert overall == {name: summary(STRENGTHS)[name] for name in overall}


@pytest.mark.parametrize(
    ("name", "one", "two", "overall"),
    [
        ("strength", 3.0, 4.01 / 8, 16.01 / 12),
        ("near_zero", 0.0, 6 / 8, 6 / 12),
        ("effective_channels", 4.0, 4.01**2 / 8.0001, 4 + 4.01**2 / 8.0001),
        (
            "concentration",
            0.0,
            (0.01 * 3 + 2 * 5 + 2 * 7) / (8 * 4.01),
            (0.01 * 3 + 2 * 5 + 2 * 7) / (8 * 4.01) * 8 / 12,
        ),
    ],
)
def test_values(name, one, two, overall):
    found = summary(STRENGTHS)
    assert found[f"physprune/{name}/one"].item() == pytest.approx(one, abs=1e-6)
    assert found[f"physprune/{name}/two"].item() == pytest.approx(two, abs=1e-6)
    assert found[f"physprune/{name}"].item() == pytest.approx(overall, abs=1e-6)
