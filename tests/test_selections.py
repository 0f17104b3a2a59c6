"""What goes first: names, scales, and what nobody knows anything about."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from physprune_pl.selections import SELECTIONS, ByLaw, ByStrength, ByTaylor, resolve_selection

LEVELS = st.lists(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=6), min_size=1, max_size=4)


def test_selections_have_names():
    kinds = {"strength": ByStrength, "law": ByLaw, "taylor": ByTaylor}
    assert {name: type(resolve_selection(name)) for name in SELECTIONS} == kinds
    assert resolve_selection(ByTaylor(horizon=7)) == ByTaylor(horizon=7)
    with pytest.raises(ValueError, match=r"select: expected one of .*did you mean 'taylor'"):
        resolve_selection("tayler")
    with pytest.raises(TypeError, match="select: expected a name or a Selection"):
        resolve_selection(None)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"scale": "median"}, ValueError, "scale: expected one of"),
        ({"horizon": 0}, ValueError, "horizon: expected at least 1 optimizer step, got 0"),
        ({"horizon": 2.5}, TypeError, "horizon: expected a whole number of optimizer steps, got 2.5"),
        ({"horizon": True}, TypeError, "horizon"),
    ],
)
def test_bad_settings_are_named(options, error, message):
    with pytest.raises(error, match=message):
        ByTaylor(**options)


SCALED = {
    "mean": lambda values: [value / (sum(values) / len(values)) for value in values],
    "l2": lambda values: [value / sum(one * one for one in values) ** 0.5 for value in values],
    "none": lambda values: values,
}


@given(levels=LEVELS, scale=st.sampled_from(sorted(SCALED)))
def test_every_scale_is_what_its_formula_says(levels, scale):
    groups = [torch.tensor(values, dtype=torch.float64) for values in levels]
    ones = [torch.ones_like(group) for group in groups]
    expected = [torch.tensor(SCALED[scale](values), dtype=torch.float64) for values in levels]
    torch.testing.assert_close(ByTaylor(scale=scale).scores(ones, None, groups), expected)
    by_strength = ByStrength(scale=scale).scores(groups, None, None)
    if scale == "mean":
        assert by_strength is None
    else:
        torch.testing.assert_close(by_strength, expected)


@given(levels=LEVELS, data=st.data())
def test_what_no_gradient_has_told_goes_last(levels, data):
    groups = [torch.tensor(values) for values in levels]
    unknown = [torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(one), max_size=len(one)))) for one in groups]
    if torch.cat(unknown).all():
        unknown[0][0] = False
    told = [torch.where(hidden, torch.inf, one) for one, hidden in zip(groups, unknown, strict=True)]
    scores, hidden = torch.cat(ByTaylor().scores(groups, None, told)), torch.cat(unknown)
    assert scores.isfinite().all()
    if hidden.any():
        assert scores[hidden].min() > scores[~hidden].max()


def test_a_group_that_the_loss_does_not_need_at_all_goes_first():
    scores = ByTaylor().scores([torch.ones(2)] * 2, None, [torch.zeros(2), torch.tensor([0.5, 1.5])])
    assert torch.cat(scores).tolist() == [0.0, 0.0, 0.5, 1.5]


def test_without_a_law_and_without_gradients_strengths_are_all_there_is():
    assert ByLaw().scores([torch.ones(2)], None, None) is None
    assert ByTaylor().scores([torch.ones(2)], None, None) is None
    assert ByLaw().scores([torch.tensor([3.0, 1.0, 2.0])], [torch.tensor([0.0, 5.0, 9.0])], None)[0].tolist() == [
        1.5,
        1.0,
        0.5,
    ]
