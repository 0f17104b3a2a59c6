"""Names for objects."""

import pytest

from physprune_pl.tools.registry import named, named_or_given


def test_a_name_makes_a_new_object_and_an_object_is_taken_as_it_is() -> None:
    assert named("box", "list", {"list": list}) == []
    given = [1]
    assert named_or_given("box", given, list, {}) is given
    assert named_or_given("box", "empty", list, {"empty": list}) == []


def test_errors_name_the_argument_and_list_the_choices() -> None:
    with pytest.raises(ValueError, match=r"box: expected one of \['a', 'b'\], got 'c'"):
        named("box", "c", {"b": list, "a": list})
    with pytest.raises(TypeError, match="box: expected a name or a list object, got 3"):
        named_or_given("box", 3, list, {})
