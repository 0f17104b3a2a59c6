"""What a cut would do, as one preview that every way of asking prints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from physprune_pl import PruneAndFinetune, plan_pruning
from physprune_pl.commands import main
from physprune_pl.preview import preview
from physprune_pl.targets.target import Target, TargetError
from physprune_pl.targets.widths import Widths


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 2))


INPUT = torch.zeros(1, 4)


def test_the_plan_is_that_of_plan_pruning():
    model, widths = chain(), Widths(round_to=2, min_share={"2": 0.5})
    found = preview(model, INPUT, Target("macs", 0.5), widths)
    wanted = plan_pruning(model, INPUT, {"macs": 0.5}, round_to=2, min_share={"2": 0.5})
    assert found.plan == wanted
    assert found.out_of_reach is None


def test_without_a_target_the_groups_alone_are_told():
    found = preview(chain(), INPUT, ignore=["0"])
    assert found.plan is None
    assert "Groups" in str(found)
    assert "0: ignored by the user" in str(found)
    assert "reach" not in str(found)


def test_a_target_out_of_reach_is_part_of_the_preview():
    found = preview(chain(), INPUT, Target("macs", 1e-4))
    assert isinstance(found.out_of_reach, TargetError)
    assert "Out of reach: target macs=0.0001" in str(found)
    assert "Groups" in str(found)


def test_costs_are_told_both_ways():
    found = preview(chain(), INPUT, Target("macs", 0.5))
    assert found.plan is not None
    (dense, pruned), lines = found.plan.macs, str(found).splitlines()
    costs = next(line for line in lines if line.startswith("MACs"))
    assert costs.endswith(f"{dense / pruned:.2f}x fewer ({100 * pruned / dense:.0f} % kept)")


def test_command_callback_and_function_tell_the_same(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "chains.py").write_text(f"import torch\nfrom torch import nn\nfrom {__name__} import chain\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(("inspect", "--model", "chains:chain", "--input", "1,4", "--target", "macs=0.5")) == 0
    said = capsys.readouterr().out.splitlines()
    told = PruneAndFinetune({"macs": 0.5}, finetune_epochs=1).preview(chain(), INPUT).splitlines()
    own = str(preview(chain(), INPUT, Target("macs", 0.5))).splitlines()
    assert said[1:] == own[1:] == told[1 : len(own)]
