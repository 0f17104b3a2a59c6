"""Where dense and pruned ResNet-50 spend their time: ``python -m experiments.goals.profiling``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from experiments.goals.measurements import FEWER, MULTIPLE
from experiments.goals.stored_figures import keep, write_page
from experiments.speed.pressed import NETWORKS
from physprune_pl.networks.isolation import twin
from physprune_pl.planning import plan_chosen
from physprune_pl.surgery.apply import cut
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target
from physprune_pl.targets.widths import Widths
from physprune_pl.tracing.tracer import trace

NETWORK, BATCH, ROUNDS, SHOWN = "resnet50", 32, 15, 6


def networks(name: str) -> dict[str, nn.Module]:
    """Return the dense network and the two cut ones that the table of speed-ups has."""
    torch.manual_seed(0)
    pixels = NETWORKS[name].pixels
    model = NETWORKS[name].build().eval()
    traced = trace(model, torch.randn(1, 3, pixels, pixels))
    found: dict[str, nn.Module] = {"dense": model}
    for label, widths in {"pruned": Widths(), "multiples": Widths(round_to=MULTIPLE)}.items():
        found[label] = cut(twin(model), plan_chosen(model, Chooser(traced, Target("macs", 1 / FEWER), widths)))
    return found


def operations(model: nn.Module, pictures: Tensor) -> dict[str, float]:
    """Return the milliseconds that each operation of one call took by itself."""
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU]) as found:
        model(pictures)
    return {event.key: event.self_cpu_time_total / 1000.0 for event in found.key_averages()}


def profiled(models: Mapping[str, nn.Module], pictures: Tensor, rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Return operation -> network -> fewest milliseconds, the slowest of the first network first.

    The profiler knows the clock alone, so other programs on the machine can only add to a call: the fastest counts.

    Args:
        models: take turns; a first call of each is not counted.
        pictures: a batch.
        rounds: calls of each that are counted.
    """
    times: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in models}
    for number in range(rounds + 1):
        for name, model in models.items():
            for operation, milliseconds in operations(model, pictures).items():
                if number:
                    times[name][operation].append(milliseconds)
    first = next(iter(times.values()))
    table = {one: {name: min(found[one]) for name, found in times.items() if one in found} for one in first}
    return dict(sorted(table.items(), key=lambda item: -item[1][next(iter(models))]))


def main() -> None:
    """Profile and store."""
    torch.set_num_threads(1)
    pictures = torch.randn(BATCH, 3, NETWORKS[NETWORK].pixels, NETWORKS[NETWORK].pixels)
    found = profiled(networks(NETWORK), pictures)
    shown = dict(list(found.items())[:SHOWN])
    totals = {name: sum(times.get(name, 0.0) for times in found.values()) for name in next(iter(found.values()))}
    keep("profiling", {"network": NETWORK, "way": "profile", "batch": BATCH, "operations": shown, "total": totals})
    write_page()


if __name__ == "__main__":
    main()
