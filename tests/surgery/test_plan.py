"""Plans: made from groups, checked strictly, the same after a round trip through JSON."""

import json
from dataclasses import replace

import pytest
import torch

from physprune_pl.structure import ChannelGroup, LeftWhole, Slice, Trace
from physprune_pl.surgery.plan import GroupCut, PruningPlan, TensorCut, make_plan

GROUP = ChannelGroup(
    "conv",
    3,
    (
        Slice("conv.weight", 0, (0, 1, 2), (0, 1, 2), "filter"),
        Slice("linear.weight", 1, (0, 1, 2, 3, 4, 5), (0, 0, 1, 1, 2, 2), "consumer"),
    ),
)
TRACE = Trace(
    groups=(GROUP,),
    left_whole=(LeftWhole("head", "its channels are the output"),),
    calls=(),
    seconds=0.0,
    shapes={"conv.weight": (3, 2, 1, 1), "linear.weight": (4, 6)},
    parameters=frozenset(),
    notes=(),
    fixed_macs=0,
    buffers=frozenset(),
)


def plan() -> PruningPlan:
    return make_plan(TRACE, [torch.tensor([False, True, False])], macs=(30, 20), params=(30, 20))


def test_make_plan_keeps_every_index_of_the_channels_that_stay():
    made = plan()
    assert made.tensors == {
        "conv.weight": TensorCut((3, 2, 1, 1), {0: (0, 2)}),
        "linear.weight": TensorCut((4, 6), {1: (0, 1, 4, 5)}),
    }
    assert made.tensors["linear.weight"].shape_after == (4, 4)
    assert made.groups == (GroupCut("conv", 3, 2, True, (1,)),)
    assert made.left_whole == TRACE.left_whole


def test_a_plan_that_removes_nothing_has_no_tensors():
    made = make_plan(TRACE, [torch.zeros(3, dtype=torch.bool)], (30, 30), (30, 30))
    assert made.tensors == {}
    assert made.groups[0].after == 3


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ([], "one tensor for each of 1 groups"),
        ([torch.zeros(2, dtype=torch.bool)], "has 3 channels"),
        ([torch.ones(3, dtype=torch.bool)], "at least one must stay"),
    ],
)
def test_make_plan_refuses(removed, message):
    with pytest.raises(ValueError, match=message):
        make_plan(TRACE, removed, (1, 1), (1, 1))


def test_a_plan_prints_as_a_table_and_shows_itself_in_one_line():
    plan = PruningPlan(
        {}, (GroupCut("stem", 4, 3, True, (1,)), GroupCut("head", 2, 2, False, ())), (), (100, 25), (8, 6)
    )
    assert repr(plan) == (
        "PruningPlan(4.00x fewer MACs (25 % kept), 1.33x fewer parameters (75 % kept), 1 of 2 groups cut, "
        "0 modules not pruned)"
    )
    assert str(plan) == plan.table()
    rows = [line.split() for line in plan.table().splitlines()]
    assert rows[2:] == [
        ["MACs", "100", "25", "25", "%"],
        ["parameters", "8", "6", "75", "%"],
        ["stem", "4", "3", "75", "%"],
        ["head", "2", "2", "100", "%"],
    ]


def test_json_round_trip():
    assert PruningPlan.from_json(plan().to_json()) == plan()


def test_plain_data_loads_with_weights_only(tmp_path):
    torch.save(plan().to_dict(), tmp_path / "plan.pt")
    assert PruningPlan.from_dict(torch.load(tmp_path / "plan.pt", weights_only=True)) == plan()


def tampered(path: tuple, value: object) -> dict:
    data = json.loads(plan().to_json())
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), 99),
        (("unknown",), 1),
        (("tensors",), []),
        (("tensors", "conv.weight"), {"shape": [3]}),
        (("tensors", "conv.weight", "shape"), "3"),
        (("tensors", "conv.weight", "keep"), {"x": [0]}),
        (("tensors", "conv.weight", "keep"), {"7": [0]}),
        (("tensors", "conv.weight", "keep"), {"0": []}),
        (("tensors", "conv.weight", "keep"), {"0": [2, 0]}),
        (("tensors", "conv.weight", "keep"), {"0": [0, 0]}),
        (("tensors", "conv.weight", "keep"), {"0": [0, 3]}),
        (("tensors", "conv.weight", "keep"), {"0": [-1, 2]}),
        (("tensors", "conv.weight", "keep"), {"0": [0.0, 2.0]}),
        (("groups", 0, "after"), 0),
        (("groups", 0, "after"), True),
        (("groups", 0, "removed"), [5]),
        (("groups", 0, "removed"), [0, 1]),
        (("groups", 0, "exact"), 1),
        (("groups", 0), {"name": "conv"}),
        (("left_whole", 0), {"name": "head"}),
        (("macs",), [1]),
        (("params",), None),
    ],
)
def test_tampered_data_is_refused(path, value):
    with pytest.raises(ValueError, match=r"expected|at least one"):
        PruningPlan.from_dict(tampered(path, value))


@pytest.mark.parametrize("text", ["", "{", "[]", '"plan"', "{}"])
def test_text_that_is_no_plan(text):
    with pytest.raises(ValueError, match="expected"):
        PruningPlan.from_json(text)


def test_removed_channels_are_ascending():
    with pytest.raises(ValueError, match="ascending"):
        replace(plan().groups[0], before=4, removed=(2, 1))
