"""The bound on what a fixed coefficient can do, against the recursion written out."""

import json

import pytest
import torch

from experiments.papers.reach import FOLDER, MULTIPLES, SEEDS, forces, macs_left, pushed, table, typical_weights
from experiments.training.assembly import build_data, build_network, composed

CONFIG = composed(["experiment=etp_official", "paths.output=unused"])


def test_force_is_that_of_the_published_code() -> None:
    # 1.01^(500 / K) to the power of the index, divided by K.
    expected = [1e-5 * 1.01 ** (500 / 64 * index) / 64 for index in range(64)]
    assert torch.allclose(forces(CONFIG, 64), torch.tensor(expected), rtol=1e-3)


def test_weight_goes_as_sgd_has_it() -> None:
    """Momentum 0.9 and weight decay 5e-4 at a rate that falls after 120 and 160 epochs, one step an epoch."""
    push, weight, speed = 2e-3, 0.5, 0.0
    for epoch in range(179):
        rate = 0.01 * 0.1 ** ((epoch >= 120) + (epoch >= 160))
        speed = 0.9 * speed + 5e-4 * weight + push
        weight -= rate * speed
    found = pushed(torch.tensor([0.5, -0.5]), torch.full((2,), push), CONFIG, pictures=200)
    assert found.tolist() == pytest.approx([weight, -weight], rel=1e-5)


def test_small_weight_is_clipped_after_an_epoch() -> None:
    assert pushed(torch.tensor([4e-4]), torch.zeros(1), CONFIG, pictures=1).tolist() == [0.0]


def test_filters_that_are_gone_take_their_share_of_the_multiplications() -> None:
    data = build_data(CONFIG)
    network = build_network(CONFIG.model, data)
    sizes = {name: len(weights) for name, weights in typical_weights(network).items()}
    assert len(sizes) == 16
    half = {name: torch.arange(size) >= size // 2 for name, size in sizes.items()}
    # Half of the inputs and half of the outputs of every layer but the first and the last.
    assert macs_left(network, half, data) == pytest.approx(0.25, abs=0.01)


def test_committed_table_is_that_of_the_committed_results() -> None:
    found = json.loads((FOLDER / "results.json").read_text())["results"]
    assert len(found) == len(MULTIPLES) * len(SEEDS)
    assert table(found) in (FOLDER / "README.md").read_text()
