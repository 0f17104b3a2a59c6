"""The table of goals: figures come from what is stored, and what was not measured is said so."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from experiments.goals import measuring, table
from experiments.goals.run import merged
from experiments.speed.pressed import Network

ROWS = [
    {"network": "resnet50", "plan_seconds": 0.25, "macs_ratio": 2.5},
    {"network": "resnet50", "way": "eager", "batch": 32, "dense": 80.0, "pruned": 40.0, "faster": 2.0},
]


def lines(text: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    return {cells[0]: cells[1:] for cells in rows}


def test_figures_stand_beside_their_goals() -> None:
    text = table.page(ROWS)
    found = lines(text)
    assert found["resnet50: planning to a MAC target < 1 s after tracing"] == ["0.250 s", "yes"]
    assert "| resnet50 | eager | 32 | 80.00 | 40.00 | 2.50x | 2.00x | 0.80 |" in text
    slow = lines(table.page([{**ROWS[0], "plan_seconds": 1.5}]))
    assert slow["resnet50: planning to a MAC target < 1 s after tracing"] == ["1.500 s", "**no**"]


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    found = lines(table.page([]))
    assert found["resnet50: planning to a MAC target < 1 s after tracing"] == ["not measured", "-"]
    assert found["tracker <= 1 % of an epoch"] == ["not measured", "-"]


def test_a_new_row_takes_the_place_of_the_old_one() -> None:
    new = {**ROWS[1], "faster": 1.5}
    assert merged(ROWS, [new]) == [ROWS[0], new]
    assert merged([], ROWS) == ROWS


def test_networks_take_turns_and_are_compared_within_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "SECONDS", 0.0)
    ran: list[str] = []
    found = measuring.raced({name: lambda name=name: ran.append(name) for name in ("dense", "pruned")})
    assert found["rounds"] == 3
    assert ran.count("dense") == ran.count("pruned") == 4
    assert found["faster"] > 0


@pytest.mark.parametrize(
    ("multiple", "rounded"), [(1, [1, 32]), (16, [None])], ids=["in reach", "out of reach is said so"]
)
def test_a_network_is_planned_and_raced(
    monkeypatch: pytest.MonkeyPatch, multiple: int, rounded: list[int | None]
) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten(), nn.Linear(256, 2))

    monkeypatch.setattr(measuring, "SECONDS", 0.0)
    monkeypatch.setattr(measuring, "MULTIPLE", multiple)
    monkeypatch.setitem(measuring.NETWORKS, "small", Network(build, 8, 2, None))
    plan, *rows = measuring.measured("small", {"eager": measuring.eager})
    assert plan["macs_ratio"] == pytest.approx(2.5, rel=0.03)
    assert [row["batch"] for row in rows if row["way"] == "eager"] == [1, 32]
    assert [row.get("batch") for row in rows if row["way"].endswith(measuring.ROUNDED)] == rounded
    assert all("failure" in row or row["faster"] > 0 for row in rows)


def test_onnxruntime_runs_both_networks() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is an optional package")
    pytest.importorskip("onnxscript", reason="onnxscript is an optional package")
    pair = {name: nn.Sequential(nn.Linear(3, 2)).eval() for name in ("dense", "pruned")}
    pictures = torch.randn(2, 3)
    for name, call in measuring.onnxruntime(pair, pictures).items():
        (out,) = call()
        assert torch.allclose(torch.from_numpy(out), pair[name](pictures), atol=1e-5)
