"""What the scripts about kills and about scale work out and write."""

from experiments.reliability.kills import Kill, table
from experiments.reliability.scale import EPOCHS, PROCESSES, Sizes, costs, readable, transformer


def test_costs_of_a_small_network() -> None:
    sizes = Sizes("small", (4, 6), 2, 10, parameters=100, touched=80, indices=30, weight_bytes=4, sample_bytes=64)
    found = {what: count for what, _, count in costs(sizes)}
    assert found["penalty and steering"] == 0
    assert found["gradients, as without pruning"] == 400
    assert found["metrics of the tracker, 4 (G + 1) scalars"] == 4 * 4 * 3
    assert found["memory: gradients that are there before the backward"] == 320
    assert found[f"memory: history of {EPOCHS} epochs"] == 4 * EPOCHS * (3 * 10 + 2 * 10)
    assert found["random generators"] > PROCESSES * (5056 + 8 * 626 + 8 * 625)


def test_a_transformer_has_its_billions() -> None:
    assert 6.7e9 < transformer().parameters < 6.8e9
    assert [readable(count) for count in (0.0, 999.0, 2.5e6, 1.35e10)] == ["0", "999 B", "2.5 MB", "13.5 GB"]


def test_kills_are_counted() -> None:
    kills = [Kill(0, "1.00 s", "none", True, True, [], 0), Kill(1, "2.00 s", "epoch 1, dense", True, False, ["/a"], 0)]
    text = table(kills, 3.0)
    assert text.startswith("2 kills, 2 resumed to the end, 1 equal; uninterrupted, 3.0 s.")
    assert "| 2.00 s | epoch 1, dense | yes | no |" in text
