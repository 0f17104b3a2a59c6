"""The zoo's runner on networks that are small, and on published ones."""

import json
import sys
from functools import partial

import pytest
import torch
from torch import nn

from experiments.structures.rounding import moved_by_rounding
from experiments.zoo import run
from experiments.zoo.limited_process import GIB, ProcessLimits, run_apart
from experiments.zoo.network import CLASSES
from experiments.zoo.networks import NETWORKS, make
from experiments.zoo.ours import cut_and_judge, inequalities, macs_vary, untrainable
from experiments.zoo.peer import FastNAS, Kirigami, TorchPruning, cut_by
from experiments.zoo.round_trip import saved_and_loaded
from experiments.zoo.table import ok, tables
from experiments.zoo.untouched import left_alone
from physprune_pl.tracing.tracer import trace

QUICK = ("resnet18", "mobilenet_v3_small", "squeezenet1_1")
# On a slow core its trace takes longer than a row may; that is the only excuse.
TOO_SLOW = {"maxvit_t": "stopped after 120 s of processor time"}
COSTS = {"macs": [10, 5], "params": [8, 4]}


def tiny(_name):
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, CLASSES))
    return nn.Sequential(*layers), torch.randn(2, 3, 6, 6)


def merged(parts):
    return {key: value for part in parts for key, value in part.items()}


def raises():
    yield {"groups": 3}
    raise ValueError("no such thing")


def never_ends():
    yield {"groups": 3}
    while True:
        pass


def wants_too_much():
    yield {"groups": torch.zeros(2**40).numel()}


def test_row_of_a_network_that_is_cut_right():
    row = merged(cut_and_judge("tiny", tiny))
    assert row["problems"] == []
    assert (row["groups"], row["exact_groups"], row["channels"]) == (2, 2, 24)
    assert row["macs"][1] / row["macs"][0] == pytest.approx(0.5, rel=0.02)
    assert max(row["error"].values()) < 1e-12
    assert row["left_whole"] == {"the model returns its channels": ["5"]}
    assert all(row[f"{step}_seconds"] >= 0 for step in ("trace", "plan", "cut"))


def test_what_rounding_makes_is_no_inequality():
    found = {"eval": 2e-10, "train": 4e-10, "train, producing": 1e-8}
    assert inequalities(found, {"eval": 1e-15, "train": 1e-11}) == [
        "eval: differs by 2.0e-10",
        "train, producing: differs by 1.0e-08",
    ]


class Picky(nn.Module):
    """A linear layer for those rows alone whose score is positive."""

    def __init__(self):
        super().__init__()
        self.score, self.head = nn.Linear(4, 1), nn.Linear(4, 4)

    def forward(self, x):
        return self.head(x[self.score(x)[:, 0] > 0])


def test_macs_vary_where_the_number_of_rows_depends_on_the_weights():
    torch.manual_seed(0)
    assert macs_vary(Picky(), torch.randn(50, 4))
    assert not macs_vary(nn.Linear(4, 4), torch.randn(50, 4))


def test_rounding_moves_a_deep_network_by_more_and_never_by_much():
    torch.manual_seed(0)
    shallow, deep = (nn.Sequential(*(nn.Linear(8, 8) for _ in range(depth))) for depth in (2, 20))
    moved = []
    for network in (shallow, deep):
        traced = trace(network, torch.randn(2, 8))
        removed = [torch.arange(group.size) < 2 for group in traced.groups]
        moved.append(max(moved_by_rounding(network, traced, torch.randn(2, 8), removed).values()))
    assert 1e-17 < moved[0] < moved[1] < 1e-12


@pytest.mark.parametrize(
    ("peer", "library"),
    [(TorchPruning(), "torch_pruning"), (Kirigami(), "torch_kirigami"), (FastNAS(), "modelopt")],
)
def test_row_of_a_peer(peer, library):
    pytest.importorskip(library)
    row = merged(cut_by(peer, "tiny", tiny))
    assert row["problems"] == []
    assert row["params"][1] < row["params"][0]


def test_a_network_of_transformers_is_saved_and_loaded_however_it_was_cut():
    pytest.importorskip("transformers")
    row = merged(saved_and_loaded("transformers:narrow bert"))
    assert [row[way]["problems"] for way in ("freely", "same width")] == [[], []]
    assert row["same width"]["from_pretrained"]
    assert all(row[way]["macs"][1] <= 0.51 * row[way]["macs"][0] for way in ("freely", "same width"))


def test_parameters_without_a_usable_gradient_are_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].bias.requires_grad_(False)
    names = [name for name, _ in model.named_parameters()]
    assert untrainable(model, torch.zeros(1, 2), names) == ["no gradient in 0.bias"]
    found = untrainable(model, torch.full((1, 2), float("inf")), ["1.weight"])
    assert found == ["the gradient of 1.weight is not finite"]


@pytest.mark.parametrize(
    ("work", "limits", "failure"),
    [
        (raises, ProcessLimits(), "ValueError: no such thing"),
        (never_ends, ProcessLimits(seconds=1), "stopped after 1 s of processor time"),
    ],
)
def test_process_that_ends_badly_leaves_what_it_had_found(work, limits, failure):
    assert run_apart(work, limits, ("torch", __name__)) == {"groups": 3, "failure": failure}


def test_process_that_does_no_work_makes_no_row():
    with pytest.raises(RuntimeError, match="ended with code 3"):
        run_apart(partial(sys.exit, 3), ProcessLimits(), ("torch", __name__))


def test_process_cannot_take_more_memory_than_its_limit():
    assert "memory" in run_apart(wants_too_much, ProcessLimits(memory=4 * GIB), ("torch", __name__))["failure"]


def test_what_has_a_row_runs_again_only_by_name():
    rows = [{"network": "a", "tool": "physprune_pl"}, {"network": "b", "tool": "torch-pruning"}]
    assert run.wanted(rows, "physprune_pl", [], ["a", "b"]) == ["b"]
    assert run.wanted(rows, "physprune_pl", ["a"], ["a", "b"]) == ["a"]
    with pytest.raises(ValueError, match="--only: expected networks of a, b, got c"):
        run.wanted(rows, "physprune_pl", ["c"], ["a", "b"])


def test_main_stores_each_row_at_once_and_resumes(tmp_path, monkeypatch, capsys):
    calls = []

    def inline(work, _limits, _shared):
        calls.append(work.args[0])
        assert len(run.stored(tmp_path / "results.json")) == min(len(calls) - 1, 2)
        return {"groups": 1, "failure": "RuntimeError: a | b"} if len(calls) == 2 else {"problems": [], **COSTS}

    (tmp_path / "README.md").write_text("Title\n<!-- table -->\n<!-- end of table -->\n")
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    monkeypatch.setattr(run, "run_apart", inline)
    monkeypatch.setattr(run, "NETWORKS", {name: NETWORKS[name] for name in QUICK[:2]})
    for arguments in ([], [], ["--only", QUICK[0]]):
        monkeypatch.setattr(sys, "argv", ["run", *arguments])
        run.main()
    assert calls == [*QUICK[:2], QUICK[0]]
    rows = json.loads((tmp_path / "results.json").read_text())["results"]
    assert [(row["network"], ok(row)) for row in rows] == [(QUICK[0], True), (QUICK[1], False)]
    assert "1 of 2 networks are ok." in (tmp_path / "README.md").read_text()
    assert "RuntimeError: a / b |" in (tmp_path / "README.md").read_text()
    assert "mobilenet_v3_small: RuntimeError: a | b" in capsys.readouterr().out


def test_readme_shows_the_results_that_are_stored():
    assert tables(run.stored(run.FOLDER / "results.json")) in (run.FOLDER / "README.md").read_text()


@pytest.mark.parametrize("name", QUICK)
def test_quick_network(name):
    assert merged(cut_and_judge(name))["problems"] == []


@pytest.mark.parametrize("name", QUICK)
def test_quick_network_is_left_as_it_was(name):
    row = merged(left_alone(name))
    assert row["problems"] == []
    assert "cannot be met" in row["refused"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in QUICK])
def test_network(name):
    row = run_apart(partial(cut_and_judge, name), ProcessLimits(), run.SHARED)
    failure = row.get("failure")
    assert ok(row) or (failure is not None and failure == TOO_SLOW.get(name)), failure or row["problems"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_network_is_built_alike_each_time(name):
    (one, first), (other, second) = make(name), make(name)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert all(torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))
