"""Reasons come with what to do about them, in errors and in the documentation."""

import re

import pytest
import torch
from configured import ROOT
from torch import nn

from physprune_pl import plan_pruning
from physprune_pl.networks.advice import ADVICE, advice, explained
from physprune_pl.targets.target import TargetError

PAGE = ROOT / "docs" / "troubleshooting.md"


def rows():
    section = PAGE.read_text().partition("## Why a layer is not pruned")[2]
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [(one.strip("`"), other) for one, other in cells[1:]]


def test_the_page_has_all_of_them_in_order():
    assert rows() == [(part, words) for part, words in ADVICE]


@pytest.mark.parametrize("part", [part for part, _ in ADVICE])
def test_every_reason_with_advice_is_one_that_the_code_gives(part):
    code = "".join(path.read_text() for path in (ROOT / "physprune_pl").rglob("*.py") if path.name != "advice.py")
    assert part in re.sub(r'"\s*\n\s*f?"', "", code)


def test_an_unknown_reason_stands_alone():
    assert advice("no idea") == ""
    assert explained([("a", "no idea")]) == ["a: no idea"]


class Rolled(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.other(self.one(x).roll(1, -1))


def test_a_network_of_which_nothing_can_go_says_why_and_what_to_do():
    with pytest.raises(TargetError, match=r"not pruned: one: once cut, it changes .* What to do: address channels"):
        plan_pruning(Rolled(), torch.randn(2, 4), {"macs": 0.5})
