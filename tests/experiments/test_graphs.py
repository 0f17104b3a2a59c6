"""The graph of the digits, its network, and the study's table."""

from __future__ import annotations

import pytest
import torch

from experiments.bench.runs import stored
from experiments.graphs import run as graphs
from experiments.graphs.network import NEIGHBOURS, TRAINED, VALIDATED, Graph, digits_graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return digits_graph()


def test_every_digit_is_joined_with_its_nearest_in_both_directions(graph: Graph) -> None:
    pairs = {(int(start), int(end)) for start, end in graph.edges.T}
    assert all((end, start) in pairs and start != end for start, end in pairs)
    for node in (0, 700, 1796):
        distances = [float((graph.features[node] - other).square().sum()) for other in graph.features]
        distances[node] = float("inf")
        farthest = sorted(distances)[NEIGHBOURS - 1]
        assert sum((node, other) in pairs and distances[other] <= farthest for other in range(1797)) >= NEIGHBOURS


def test_the_parts_do_not_meet_and_every_class_has_its_share(graph: Graph) -> None:
    assert torch.equal(sum(part.long() for part in graph.parts.values()), torch.ones(1797, dtype=torch.long))
    for part, count in (("train", TRAINED), ("val", VALIDATED)):
        assert graph.classes[graph.parts[part]].bincount().tolist() == [count] * 10


def test_a_pruned_network_has_fewer_heads(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_geometric", reason="see experiments/graphs/requirements.txt")
    monkeypatch.setattr(graphs, "SPARSIFY", 4)
    monkeypatch.setattr(graphs, "FINETUNE", 2)
    for arm in ("uniform at 0.5", "scaled at 0.5", "dense"):
        found = graphs.result(arm, 0, graph)
        kept = found["macs"]["pruned"] / found["macs"]["dense"]
        assert kept == pytest.approx(1.0 if arm == "dense" else 0.5, rel=0.03)
        assert 0 < found["accuracy"] <= 1


def test_a_row_has_losses_accuracy_and_latency() -> None:
    cost = {"dense": 100, "pruned": 50}
    one = {"arm": "uniform at 0.5", "seed": 0, "macs": cost, "params": cost, "accuracy": 0.9}
    more = {"val_loss": {"after_sparsify": 0.8, "after_cut": 0.7}, "latency_ms": {"graph": cost}}
    row = "| uniform at 0.5 | 1 | 2.00x fewer | 2.00x fewer | 0.800 | 0.700 | 90.00 | 0.50 |"
    assert row in graphs.table([{**one, **more}])


def test_stored_networks_keep_what_their_names_say() -> None:
    found = stored(graphs.FOLDER / "results.json")
    assert {one["arm"] for one in found} == set(graphs.ARMS)
    for one in found:
        share = float(one["arm"].rpartition(" ")[2]) if one["arm"] != "dense" else 1.0
        assert one["macs"]["pruned"] / one["macs"]["dense"] == pytest.approx(share, rel=0.03)
