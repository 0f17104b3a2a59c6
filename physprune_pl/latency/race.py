"""The one clock: networks timed in turns, with medians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.utils.benchmark import Timer

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import saved_random_state, set_training, twin
from physprune_pl.tools.progress import steps

# A weight under this is what pressing has left of one.
TRACE = 1e-12


def without_traces(model: nn.Module) -> nn.Module:
    """Return a copy with zeros where parameters or buffers are under 1e-12, to be timed in the place of a dense model.

    What pressing can leave of a weight, 1e-20 or so, makes products under the range of normal numbers, which some
    processors multiply far more slowly; the weights of a network that nothing has pressed do not.

    Args:
        model: stays as it is.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> _ = nn.init.constant_(layer.weight, 1e-20)
        >>> without_traces(layer).weight.item()
        0.0
    """
    copied = twin(model)
    for tensor in [*copied.parameters(), *copied.buffers()]:
        if tensor.is_floating_point():
            # In new memory: that of a twin's parameters is the model's.
            tensor.data = tensor.data.masked_fill(tensor.data.abs() < TRACE, 0.0)
    return copied


def measure_latency(
    models: Mapping[str, nn.Module],
    example_input: Any,
    batch_sizes: Sequence[int] = (1, 32),
    rounds: int = 11,
    round_seconds: float = 0.05,
) -> dict[str, dict[str, float]]:
    """Measure the forward time of several models side by side.

    Every round times each model in turn, so that a machine that speeds up or slows down meets all of them alike; the
    figure is the median over the rounds. Models run in eval mode without gradients on the threads torch now uses.

    Args:
        models: the models by name, such as ``{"dense": ..., "pruned": ...}``.
        example_input: one input of the models; its first sample is repeated to every batch size.
        batch_sizes: batch sizes to time.
        rounds: number of rounds.
        round_seconds: how long a model is timed in one round, in seconds; at least one call.

    Returns:
        Milliseconds of one call: ``{"batch_1": {"dense": x, "pruned": y}, ...}``.

    Raises:
        ValueError: if ``rounds`` or a batch size is below 1.
    """
    for name, value in [("rounds", rounds), *(("batch_sizes", size) for size in batch_sizes)]:
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    example = Example.of(example_input)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(saved_random_state())
        for model in models.values():
            stack.enter_context(set_training(model, False))
        return {
            f"batch_{size}": _race(models, example.sized(size), rounds, round_seconds)
            for size in steps("timing", batch_sizes)
        }


def _race(models: Mapping[str, nn.Module], batch: Example, rounds: int, round_seconds: float) -> dict[str, float]:
    """Median milliseconds of one call of each model."""
    timers = {name: _timer(model, batch.to(model)) for name, model in models.items()}
    calls = {name: _calls_per_round(timer, round_seconds) for name, timer in timers.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, timer in timers.items():
            times[name].append(timer.timeit(calls[name]).mean * 1e3)
    return {name: median(values) for name, values in times.items()}


def _timer(model: nn.Module, batch: Example) -> Timer:
    # Imported here because it loads the toolchain for extensions, which may warn where there is half of one.
    from torch.utils.benchmark import Timer

    names = {"batch": batch.calls(model), "model": model}
    return Timer("batch.run(model)", globals=names, num_threads=torch.get_num_threads())


def _calls_per_round(timer: Timer, round_seconds: float) -> int:
    """Warm the model up and return the number of calls that fill a round."""
    timer.timeit(2)
    seconds = timer.timeit(2).mean
    return max(1, round(round_seconds / max(seconds, 1e-7)))
