"""What ``ignore`` takes: one name or pattern, one module, several of them."""

import re

import pytest
import torch
from omegaconf import ListConfig
from torch import nn

from physprune_pl import physics_pruning, plan_pruning
from physprune_pl.networks.ignored import Ignored


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.blocks = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 8), nn.ReLU()))
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


BLOCKS = {"blocks", "blocks.0", "blocks.1", "blocks.2", "blocks.2.0", "blocks.2.1"}


@pytest.mark.parametrize(
    ("ignore", "names"),
    [
        ((), set()),
        ("stem", {"stem"}),
        ("blocks", BLOCKS),
        (r"blocks\.\d+", BLOCKS - {"blocks"}),
        (re.compile("stem|head"), {"stem", "head"}),
        (["stem", re.compile("HEAD", re.IGNORECASE)], {"stem", "head"}),
        ({"stem"}, {"stem"}),
        (ListConfig(["stem", "head"]), {"stem", "head"}),
        ((name for name in ("stem", "head")), {"stem", "head"}),
    ],
)
def test_names_and_patterns_stand_for_modules_and_what_is_in_them(ignore, names):
    assert Ignored.of(ignore).names(Net()) == names


def test_modules_stand_for_themselves():
    net = Net()
    # A Sequential can be iterated over, and is one module all the same.
    assert Ignored.of(net.blocks).names(net) == BLOCKS
    assert Ignored.of([net.head, "stem"]).names(net) == {"head", "stem"}
    assert Ignored.of(net).names(net) == {"", "stem", "head", *BLOCKS}
    with pytest.raises(ValueError, match="ignore: expected modules of the network, got Linear, which is not in it"):
        Ignored.of(nn.Linear(8, 2)).names(net)


@pytest.mark.parametrize("name", ["blocks.2", r"blocks\.[12].*"])
def test_compiling_changes_no_name(name):
    plain = Ignored.of(name).names(Net())
    net = Net()
    block = net.blocks[2]
    net.blocks[2] = torch.compile(block, backend="eager")
    net.blocks = torch.compile(net.blocks, backend="eager")
    assert Ignored.of(name).names(net) == plain
    for module in (block, net.blocks._orig_mod[2]):
        assert Ignored.of(module).names(net) == {"blocks.2", "blocks.2.0", "blocks.2.1"}


def test_a_compiled_part_is_left_whole_by_its_plain_name():
    net = Net()
    net.blocks = torch.compile(net.blocks, backend="eager")
    plan = plan_pruning(net, torch.zeros(1, 4), {"macs": 0.8}, ignore="blocks.2.0", min_share={"blocks.0": 1.0})
    assert {cut.name: cut.after for cut in plan.groups if cut.after < cut.before}.keys() == {"stem"}


def test_copies_are_found_by_name():
    net = Net()
    assert Ignored.of(net.head).by_name(net).names(Net()) == {"head"}
    odd = nn.ModuleDict({"3x3(": nn.Linear(2, 2)})
    assert Ignored.of(odd["3x3("]).by_name(odd).names(odd) == {"3x3("}


def test_of_two_all_are_ignored():
    module = nn.Linear(1, 1)
    assert (Ignored.of(["a", module]) | Ignored.of([module, "b", "a"])).entries == ("a", module, "b")


def test_a_bad_pattern_is_refused_before_any_network_is_there():
    with pytest.raises(ValueError, match=r"ignore: expected a name or a regular expression, got 'head\(': missing \)"):
        physics_pruning(target={"macs": 0.5}, ignore=["stem", "head("])
    with pytest.raises(ValueError, match="ignore: expected a name or a regular expression, got 3"):
        physics_pruning(target={"macs": 0.5}, ignore=[3])
    with pytest.raises(TypeError, match="ignore: expected names, regular expressions or modules, got 3"):
        physics_pruning(target={"macs": 0.5}, ignore=3)


def test_a_name_that_stands_for_nothing_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="got ''"):
        Ignored.of("").names(Net())
    with pytest.raises(ValueError, match=r"such as \['stem', .*'head'\], got 'stm'; did you mean 'stem'\?"):
        Ignored.of("stm").names(Net())
    # One backslash too many, as nested quotes bring them about.
    with pytest.raises(ValueError, match=r"did you mean 'blocks\.2\.0'\?"):
        Ignored.of(r"blocks\\.2\\.0").names(Net())


def test_plans_leave_whole_what_is_ignored():
    net = Net()
    for ignore in ("stem", net.stem, [net.stem]):
        plan = plan_pruning(net, torch.zeros(1, 4), {"macs": 0.8}, ignore=ignore)
        assert any(part.name == "stem" and "ignored by the user" in part.reason for part in plan.left_whole)
