"""Training on after a cut, with and without the optimizer's old state; see experiments/reliability/moments.py."""

import pytest
import torch

from experiments.reliability import moments


@pytest.mark.parametrize("make", moments.OPTIMIZERS.values())
def test_the_first_loss_is_that_of_the_same_cut_network_and_what_follows_differs(make):
    found = moments.run(make, seed=0, epochs=1, steps=3)
    for curves in found["after"].values():
        assert curves["carried"][0] == curves["dropped"][0]
        assert curves["carried"][1:] != curves["dropped"][1:]


def test_a_cut_leaves_the_training_that_it_is_made_from_alone():
    torch.manual_seed(0)
    net = moments.network()
    inputs, labels = torch.rand(80, 1, 8, 8), torch.arange(80) % 10
    training = moments.Training(net, moments.sgd(net.parameters(), 1.0), inputs, labels, torch.Generator())
    training.losses(2)
    order = training.order.get_state()
    twin = training.cut(moments.sgd, 0.1, carried=True)
    twin.losses(1)
    assert torch.equal(training.order.get_state(), order)
    assert net[0].out_channels == 16
    for parameter in twin.net.parameters():
        assert twin.optimizer.state[parameter]["momentum_buffer"].shape == parameter.shape


def test_table():
    runs = [{"before": 0.5, "after": {str(s): {"carried": [1.0] * 50, "dropped": [2.0] * 50} for s in moments.SHARES}}]
    text = moments.table({"AdamW": runs * 2})
    assert "| AdamW | a tenth | dropped | 0.500 ± 0.000 | 2.000 ± 0.000 | 2.000 ± 0.000 | 2.000 ± 0.000 |" in text
