"""Steps of pruned networks: what is timed is a training step, and a row says what it is a share of."""

import torch

from experiments.step_costs.run import DENSE, NETWORKS, ROUNDINGS, SETTINGS, networks, table
from physprune_pl.networks.measure import count_macs


def test_the_pruned_networks_keep_their_share_and_their_multiples() -> None:
    found, example = networks("resnet20"), torch.randn(2, 3, 32, 32)
    shares = [count_macs(found[rounding], example) / count_macs(found[DENSE], example) for rounding in ROUNDINGS]
    assert all(abs(share - NETWORKS["resnet20"][1]) < 0.02 for share in shares)
    widths = [
        layer.out_channels for layer in found["pruned, round_to=8"].modules() if isinstance(layer, torch.nn.Conv2d)
    ]
    assert all(width % 8 == 0 for width in widths)


def test_a_step_trains_a_copy_in_every_setting() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.LazyLinear(10))
    network(torch.randn(1, 3, 32, 32))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for setting in SETTINGS:
        step = setting.step(network)
        trained = next(
            cell.cell_contents for cell in step.__closure__ if isinstance(cell.cell_contents, torch.nn.Module)
        )
        step()
        assert not torch.equal(trained[0].weight, before["0.weight"])
        assert trained[0].weight.is_contiguous(memory_format=torch.channels_last) == (setting.layout == "channels_last")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_row_is_over_its_dense_network() -> None:
    ms, macs = {DENSE: 200.0, "pruned": 100.0, "pruned, round_to=8": 50.0}, {DENSE: 10, "pruned": 4}
    one = {"network": "x", "precision": "32-true", "layout": "contiguous", "ms": ms, "macs": macs}
    assert table([one]).splitlines()[-1] == "| x | 40% | 32-true | contiguous | 200 | 0.50 | 0.25 |"
