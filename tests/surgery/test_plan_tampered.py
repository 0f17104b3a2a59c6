"""Plans and checkpoints that somebody tampered with: refused with a clear error, and the model is as it was."""

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from hand_networks import NETWORKS, conv_bn_conv, group_norm, plan_for
from torch import nn

from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.loading import load_pruned
from physprune_pl.surgery.plan import PruningPlan

JUNK = (
    None,
    True,
    -1,
    10**30,
    1e308,
    float("nan"),
    "",
    "\u0663",
    [],
    [[]],
    {},
    {"0": [0]},
    [None],
    [-1],
    [2**63],
    b"x",
)
ABSURD = 10**15


def valid() -> dict[str, Any]:
    model, group, _ = conv_bn_conv()
    plan = plan_for(model, group).to_dict()
    plan["left_whole"], plan["macs"], plan["params"] = [{"name": "head", "reason": "its output"}], [30, 20], [30, 20]
    return plan


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a nest of dicts and lists, the nest itself left out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [place for key, one in inner for place in places(one, (*path, key))]
    return [path, *found] if path else found


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def fingerprint(model: nn.Module) -> list[Any]:
    sizes = ("out_channels", "in_channels", "num_features", "num_groups", "num_channels", "groups")
    remembered = [getattr(module, name, None) for module in model.modules() for name in sizes]
    return [remembered, {name: value.clone() for name, value in model.state_dict().items()}]


def assert_untouched(model: nn.Module, before: list[Any]) -> None:
    now = fingerprint(model)
    assert now[0] == before[0]
    assert now[1].keys() == before[1].keys()
    assert all(torch.equal(now[1][name], before[1][name]) for name in now[1])


def assert_refused(data: Any, told: str = "") -> None:
    model = conv_bn_conv()[0]
    before = fingerprint(model)
    with pytest.raises(ValueError, match=told or "."):
        apply_plan(model, PruningPlan.from_dict(data))
    assert_untouched(model, before)


PLACES = places(valid())
# What a person reads: another value of the same kind makes another valid plan.
FREE = {"name", "reason", "exact", "macs", "params", "left_whole"}


def test_the_plan_itself_is_accepted() -> None:
    model = apply_plan(conv_bn_conv()[0], PruningPlan.from_dict(valid()))
    assert model[0].out_channels == 4


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_junk_in_every_place_is_refused(path: tuple[Any, ...]) -> None:
    # Other numbers of the same kind make other plans, which other tests judge.
    for junk in JUNK:
        data = valid()
        kind = type(at(data, path))
        if type(junk) is kind and (set(path) & FREE or kind in (list, dict)):
            continue
        at(data, path[:-1])[path[-1]] = copy.deepcopy(junk)
        assert_refused(data)


@pytest.mark.parametrize("path", [path for path in PLACES if isinstance(path[-1], str)], ids=str)
def test_missing_and_additional_fields_are_refused(path: tuple[Any, ...]) -> None:
    missing, more = valid(), valid()
    gone = at(missing, path[:-1]).pop(path[-1])
    if path[:-1] != ("tensors",) and path[-2:-1] != ("keep",):
        assert_refused(missing)
        at(more, path[:-1])["more"] = gone
        assert_refused(more)
    elif path[:-1] == ("tensors",) and path[-1] not in ("0.weight", "3.weight"):
        # Without one of the tensors of a module the others no longer fit it.
        assert_refused(missing, "beside its weight")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("format",), 2, "format 1, got 2"),
        (("format",), True, "expected int"),
        (("format",), 1.0, "expected int"),
        (("tensors", "0.weight", "keep", "0"), [0, 2, 4, 6], "from 0 to 5"),
        (("tensors", "0.weight", "keep", "0"), [-1, 2, 4, 5], "from 0 to 5"),
        (("tensors", "0.weight", "keep", "0"), [0, 2, 2, 5], "without repeats"),
        (("tensors", "0.weight", "keep", "0"), [5, 4, 2, 0], "ascending"),
        (("tensors", "0.weight", "keep", "0"), [0, 2, 4, ABSURD], "from 0 to 5"),
        (("tensors", "0.weight", "keep", "0"), [0, 2, 4, True], "expected int"),
        (("tensors", "0.weight", "keep"), {"00": [0]}, "dimensions"),
        (("tensors", "0.weight", "keep"), {"4": [0]}, "dimension from 0 to 3"),
        (("tensors", "0.weight", "keep"), {"\u00b2": [0]}, "dimensions"),
        (("tensors", "0.weight", "keep"), {ABSURD: [0]}, "dimensions"),
        (("tensors", "0.weight", "shape"), [ABSURD, 2, 3, 3], "planned with shape"),
        (("tensors", "0.weight", "shape"), [-6, 2, 3, 3], "expected indices"),
        (("tensors", "0.weight", "shape"), [], "expected a dimension"),
        (("tensors", "../0.weight"), {"shape": [6], "keep": {"0": [0]}}, "no parameter or buffer"),
        (("tensors", "0.__class__"), {"shape": [6], "keep": {"0": [0]}}, "no parameter or buffer"),
        (("tensors", "0.weight.data"), {"shape": [6, 2, 3, 3], "keep": {"0": [0]}}, "no parameter or buffer"),
        (("tensors", ""), {"shape": [6], "keep": {"0": [0]}}, "no parameter or buffer"),
        (("tensors", "0._orig_mod.weight"), {"shape": [6, 2, 3, 3], "keep": {"0": [0]}}, "another way"),
        (("groups", 0, "removed"), [1, ABSURD], "from 0 to 5"),
        (("groups", 0, "removed"), [-3, 1], "from 0 to 5"),
        (("groups", 0, "removed"), [1, 1], "removed channels"),
        (("groups", 0, "removed"), [3, 1], "ascending"),
        (("groups", 0, "after"), 3, "removed channels"),
        (("params",), [20, 30], "first no smaller"),
        (("macs",), [20, -1], "first no smaller"),
    ],
)
def test_what_a_forger_would_try(path: tuple[Any, ...], value: Any, told: str) -> None:
    data = valid()
    at(data, path[:-1])[path[-1]] = value
    assert_refused(data, told)


def test_absurd_groups_are_refused_before_their_channels_are_listed() -> None:
    data = valid()
    data["groups"][0] |= {"before": ABSURD + 2, "after": ABSURD}
    assert_refused(data, "at most 4 channels left")


def test_a_module_whose_tensors_would_not_fit_together_is_refused() -> None:
    for tensor in ("0.bias", "1.bias", "1.running_mean", "1.running_var"):
        data = valid()
        data["tensors"][tensor]["keep"]["0"] = [0, 1, 2]
        assert_refused(data, "beside its weight")


def test_a_broken_norm_group_is_refused() -> None:
    model, group, _ = group_norm()
    data, before = plan_for(model, group).to_dict(), fingerprint(model)
    for tensor in ("1.weight", "1.bias"):
        data["tensors"][tensor]["keep"]["0"] = [0, 1, 2]
    with pytest.raises(ValueError, match="no whole number of groups"):
        apply_plan(model, PruningPlan.from_dict(data))
    assert_untouched(model, before)


@pytest.mark.parametrize("make", NETWORKS)
def test_random_changes_of_numbers_are_refused_or_leave_a_consistent_plan(make: Any) -> None:
    chance = random.Random(0)
    for _ in range(60):
        model, group, _ = make()
        data = plan_for(model, group).to_dict()
        numbers = [path for path in places(data) if type(at(data, path)) is int]
        path, before = chance.choice(numbers), fingerprint(model)
        at(data, path[:-1])[path[-1]] = chance.choice((0, 1, 2, 7, -1, -(2**40), 2**40))
        try:
            apply_plan(model, plan := PruningPlan.from_dict(data))
        except ValueError:
            assert_untouched(model, before)
        else:
            shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
            assert all(shapes[name] == cut.shape_after for name, cut in plan.tensors.items())


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "9" * 5000,
        json.dumps(valid()).replace("[30, 20]", "[1" + "0" * 5000 + ", 20]", 1),
        "NaN",
        "1e999",
    ],
    ids=["deep", "long", "huge number", "NaN", "infinity"],
)
def test_text_that_would_break_a_reader(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        PruningPlan.from_json(text)


def test_a_key_that_stands_twice_is_refused() -> None:
    text = json.dumps(valid())
    with pytest.raises(ValueError, match="twice"):
        PruningPlan.from_json(text.replace('"format": 1', '"format": 1, "format": 1'))


# Checkpoints


def checkpoint() -> dict[str, Any]:
    model, group, _ = conv_bn_conv()
    plan = plan_for(model, group)
    apply_plan(model, plan)
    weights = {f"net.{name}": value for name, value in model.state_dict().items()}
    return {"state_dict": weights, "callbacks": {"PruneAndFinetune": {"plan": plan.to_dict(), "prefix": "net."}}}


def assert_not_loaded(content: Any, path: Path, told: str) -> None:
    torch.save(content, path)
    model = conv_bn_conv()[0]
    before = fingerprint(model)
    with pytest.raises(ValueError, match=told):
        load_pruned(model, path)
    assert_untouched(model, before)


def test_weights_that_do_not_fit_the_plan_leave_the_model_alone(tmp_path: Path) -> None:
    for change, told in (
        ({"net.3.weight": torch.ones(4, 5, 3, 3)}, "should have shape"),
        ({"net.3.weight": torch.ones(1).expand(10**9, 4, 3, 3)}, "should have shape"),
        ({"net.3.weight": "no tensor"}, "should have shape"),
        ({"net.3.more": torch.ones(1)}, "which has no"),
        ({3: torch.ones(1)}, "state_dict"),
    ):
        content = checkpoint()
        content["state_dict"] |= change
        assert_not_loaded(content, tmp_path / "file.ckpt", told)


def test_a_plan_for_other_weights_leaves_the_model_alone(tmp_path: Path) -> None:
    content = checkpoint()
    del content["callbacks"]["PruneAndFinetune"]["plan"]["tensors"]["3.weight"]
    assert_not_loaded(content, tmp_path / "file.ckpt", "should have shape")
    content["callbacks"] = [1, 2]
    assert_not_loaded(content, tmp_path / "file.ckpt", "should have shape")
    content = checkpoint()
    content["callbacks"]["PruneAndFinetune"]["prefix"] = 3
    assert_not_loaded(content, tmp_path / "file.ckpt", "should have shape")


class Setting:
    """Something of the user's own."""


def test_an_object_beside_state_and_plan_is_left_alone(tmp_path: Path) -> None:
    torch.save({**checkpoint(), "hyper_parameters": {"mine": Setting()}}, tmp_path / "file.ckpt")
    assert load_pruned(conv_bn_conv()[0], tmp_path / "file.ckpt")[0].out_channels == 4


def test_a_file_that_would_run_something_does_not_run_it(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    torch.save({**checkpoint(), "bomb": Bomb()}, tmp_path / "file.ckpt")
    assert load_pruned(conv_bn_conv()[0], tmp_path / "file.ckpt")[0].out_channels == 4
    assert not (tmp_path / "ran").exists()


def test_any_prefix_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.ckpt"
    torch.save(checkpoint(), path)
    content = path.read_bytes()
    for share in range(8):
        path.write_bytes(content[: len(content) * share // 8])
        with pytest.raises(ValueError, match="weights_only"):
            load_pruned(conv_bn_conv()[0], path)
