"""How far ETP's published coefficient can push a filter to zero: ``python -m experiments.papers.reach``.

Nothing is trained. Every filter of the published setting feels the force and the weight decay over the whole published
schedule, and no task: what reaches zero is an upper bound, as the gradient of a task is orthogonal to a filter in front
of a batch norm and so makes it longer, to first order. Of all filters of one length, that of n equal weights is
shortened fastest by an L1 norm, by the square root of n times the force, so every filter is taken to be that one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim.lr_scheduler import MultiStepLR

from experiments.bench.runs import Result, save, write_table
from experiments.training.assembly import build_data, build_force, build_network, composed
from experiments.training.data import LabelledData
from experiments.training.sweeps.figures import spread
from physprune_pl import Channels, plan_pruning
from physprune_pl.reports.report import command_line
from physprune_pl.reports.tables import markdown
from physprune_pl.strengths import L2

FOLDER = Path(__file__).parent / "reach"
PICTURES = 50_000
"""Of an epoch: the training split of CIFAR-100."""
MILESTONES = (120, 160)
"""Epochs after which the published rate is divided by 10."""
CLIP = 5e-4
"""Weights under this are set to zero after every epoch."""
NOTHING = 1e-6
"""Filters weaker than this share of the strongest of their layer are at zero."""
MULTIPLES = (1, 3, 10, 30)
SEEDS = (0, 1, 2)


def typical_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the root of the mean square of every filter's weights, convolution -> shape [K]."""
    layers = (pair for pair in network.named_modules() if isinstance(pair[1], nn.Conv2d))
    return {name: layer.weight.detach().flatten(1).square().mean(1).sqrt() for name, layer in layers}


def forces(config: DictConfig, size: int) -> Tensor:
    """Return what a step of the published penalty adds to the gradient of a weight, by channel, shape [K]."""
    ones = torch.ones(size)
    channels = Channels(strength=ones, distance=torch.arange(size, dtype=ones.dtype), pivot=config.pivot, sign=ones)
    pushes: Tensor = config.coefficient * build_force(config.force)(channels)
    return pushes


def pushed(weights: Tensor, pushes: Tensor, config: DictConfig, pictures: int = PICTURES) -> Tensor:
    """Return weights after the published schedule, by SGD with force and weight decay but no task.

    Args:
        weights: at the start, of any shape.
        pushes: added to the gradient with the sign of the weight, same shape.
        config: with optimizer, batch size and epochs.
        pictures: of an epoch.
    """
    found = nn.Parameter(weights.clone())
    settings = config.optimizer
    optimizer = torch.optim.SGD([found], settings.lr, settings.momentum, weight_decay=settings.weight_decay)
    schedule = MultiStepLR(optimizer, MILESTONES)
    for _ in range(config.trainer.max_epochs):
        for _ in range(-(-pictures // config.data.batch_size)):
            found.grad = pushes * found.detach().sign()
            optimizer.step()
        schedule.step()
        found.data[found.data.abs() < CLIP] = 0.0
    return found.detach()


def zeros(network: nn.Module, config: DictConfig) -> Iterator[dict[str, Tensor]]:
    """Yield, for each of the multiples of the coefficient, which filters are at zero in the end."""
    typical = typical_weights(network)
    pushes = torch.cat([forces(config, len(one)) for one in typical.values()])
    weights = torch.cat(list(typical.values())).expand(len(MULTIPLES), -1)
    multiples = torch.tensor(MULTIPLES, dtype=pushes.dtype)[:, None]
    for row in pushed(weights, multiples * pushes, config) == 0:
        yield dict(zip(typical, row.split([len(one) for one in typical.values()]), strict=True))


def macs_left(network: nn.Module, gone: Mapping[str, Tensor], data: LabelledData) -> float:
    """Return the share of the MACs that is left without these filters, which are zeroed in place.

    The first filter of a layer, which the force spares most, stays in any case.
    """
    for name, dead in gone.items():
        network.get_parameter(f"{name}.weight").data[1:][dead[1:]] = 0.0
    # The norm behind a filter is of no account here, and what reads it neither.
    dense, left = plan_pruning(network, data.example(1), {"threshold": NOTHING}, strength=L2(scope="filter")).macs
    return left / dense


def results(seed: int) -> Iterator[Result]:
    """Yield one result for each multiple of the coefficient."""
    config = composed(["experiment=etp_official", "paths.output=unused"])
    data = build_data(config)
    torch.manual_seed(seed)
    network = build_network(config.model, data)
    for multiple, gone in zip(MULTIPLES, zeros(network, config), strict=True):
        widths = sorted({len(dead) for dead in gone.values()})
        shares = {str(width): _share([dead for dead in gone.values() if len(dead) == width]) for width in widths}
        left = macs_left(copy.deepcopy(network), gone, data)
        yield {
            "coefficient": multiple * config.coefficient,
            "seed": seed,
            "at_zero": {"all": _share(list(gone.values())), **shares},
            "macs_left": left,
        }


def _share(dead: list[Tensor]) -> float:
    return float(torch.cat(dead).float().mean())


def table(found: Sequence[Result]) -> str:
    """Return a markdown table, one row per coefficient."""
    groups = list(found[0]["at_zero"])
    head = ("coefficient", "filters at zero", *(f"in layers of {group}" for group in groups[1:]), "MACs")
    rows = []
    for coefficient in dict.fromkeys(one["coefficient"] for one in found):
        runs = [one for one in found if one["coefficient"] == coefficient]
        cells = [spread([100 * run["at_zero"][group] for run in runs], "{:.1f}") for group in groups]
        fewer = spread([1 / run["macs_left"] for run in runs], "{:.2f}")
        rows.append((f"{coefficient:g}", *(f"{cell} %" for cell in cells), f"{fewer}x fewer"))
    return markdown(head, rows)


def main() -> None:
    """Write results.json and the table of README.md."""
    found = [one for seed in SEEDS for one in results(seed)]
    save(found, command_line(), FOLDER / "results.json")
    write_table(FOLDER / "README.md", table(found))


if __name__ == "__main__":
    main()
