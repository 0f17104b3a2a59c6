"""A plan is replayed on the network that it was made for, and on no other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from physprune_pl.networks.identity import fingerprint
from physprune_pl.planning import plan_pruning
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.plan import PruningPlan

PICTURES = torch.randn(1, 3, 4, 4)


class Stages(nn.Module):
    """A residual stream with some number of stages, of which a plan for fewer knows the first ones only."""

    def __init__(self, stages: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 1)
        self.stages = nn.ModuleList(nn.Conv2d(16, 16, 1) for _ in range(stages))
        self.head = nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = x + stage(x).relu()
        return self.head(x.mean((2, 3)))


@pytest.fixture
def plan() -> PruningPlan:
    return plan_pruning(Stages(), PICTURES, {"macs": 0.29})


def test_a_plan_for_a_smaller_network_is_refused_before_anything_changes(plan):
    model = Stages(2)
    with pytest.raises(ValueError, match=r"plan: it was made for a network with other parameters than Stages has"):
        apply_plan(model, plan)
    assert model.stem.weight.shape == (16, 3, 1, 1)
    assert model(PICTURES).shape == (1, 2)


def test_it_travels_in_json_and_fits_compiled_and_loaded_networks(plan):
    again = PruningPlan.from_json(plan.to_json())
    assert again == plan
    assert len(again.fingerprint) == 16
    apply_plan(torch.compile(Stages(), backend="eager"), again)
    inside = Stages()
    inside.stages[0] = torch.compile(inside.stages[0], backend="eager")
    apply_plan(inside, again)


def test_text_of_another_form_is_refused(plan):
    for text in ("", "ABCDEF0123456789", "0" * 15, "0" * 17):
        with pytest.raises(ValueError, match="fingerprint: expected 16 hexadecimal digits"):
            PruningPlan.from_dict({**plan.to_dict(), "fingerprint": text})


def test_names_and_shapes_make_the_difference_buffers_do_not():
    shapes = {"a.weight": (2, 3), "b.weight": (3, 2)}
    assert fingerprint(shapes) == fingerprint({"a._orig_mod.weight": (2, 3), "b.weight": (3, 2)})
    others = [{"a.weight": (2, 3)}, {**shapes, "b.weight": (2, 3)}, {"a.weight": (2, 3), "c.weight": (3, 2)}]
    assert len({fingerprint(shapes), *map(fingerprint, others)}) == 4
    model = Stages()
    made = plan_pruning(model, PICTURES, {"macs": 0.29})
    model.register_buffer("seen", torch.zeros(3))
    apply_plan(model, made)
