"""Numbers in the attributes of modules that know where they are, and what is computed from them."""

from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import pytest
from torch import nn

from physprune_pl.probing.sizes.known_numbers import Remembered, Rest, Share, remembered_sizes

Pair = namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("value", "read", "name"),
    [
        (4, lambda value: value, "one.sizes"),
        ([3, 4], lambda value: value[1], "one.sizes.1"),
        (Pair(3, 4), lambda value: value.right, "one.sizes.1"),
        ({"heads": 4}, lambda value: value["heads"], "one.sizes.heads"),
        (OrderedDict(heads=4), lambda value: value["heads"], "one.sizes.heads"),
        (SimpleNamespace(heads=4), lambda value: value.heads, "one.sizes.heads"),
        (SimpleNamespace(inner=[4]), lambda value: value.inner[0], "one.sizes.inner.0"),
    ],
)
def test_numbers_know_their_place_inside_and_are_plain_afterwards(value, read, name):
    model = nn.ModuleDict({"one": nn.Identity(), "other": nn.Identity()})
    model.one.sizes = model.other.sizes = value
    with remembered_sizes(model):
        assert type(model.one.sizes) is type(value) or name == "one.sizes"
        assert read(model.one.sizes) == 4
        assert read(model.one.sizes).name == name
    assert model.one.sizes is value
    assert type(read(value)) is int


def test_an_object_that_two_modules_hold_is_one_place():
    model = nn.ModuleDict({"one": nn.Identity(), "other": nn.Identity()})
    model.one.settings = model.other.settings = SimpleNamespace(heads=4)
    with remembered_sizes(model):
        assert model.other.settings.heads.name == "one.settings.heads"


def test_shares_and_what_is_left_know_the_whole():
    width = Remembered.of(12, "width")
    assert isinstance(width // 3, Share)
    rest = width - 4
    assert isinstance(rest, Rest)
    assert (rest, rest.whole, rest.whole.name) == (8, 12, "width")
    assert type(width - 0) is int
    assert type(width - 13) is int
