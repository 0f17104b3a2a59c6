"""The one clock: calls timed in turns, and medians of what they took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

import torch
from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import saved_random_state, set_training, twin
from physprune_pl.tools.progress import steps

Call = Callable[[], object]

CPU = torch.device("cpu")
# A weight under this is what pressing has left of one.
REMNANT = 1e-12
# Seconds; a coarse clock may see nothing pass.
_SHORTEST = 1e-7


def race(
    calls: Mapping[str, Call], rounds: int = 11, round_seconds: float = 0.05, device: torch.device = CPU
) -> dict[str, float]:
    """Time calls side by side: milliseconds of each, as :func:`compared` makes them of :func:`turns`.

    >>> list(race({"dense": lambda: sum(range(99)), "pruned": lambda: None}, rounds=3, round_seconds=0.0))
    ['dense', 'pruned']
    """
    return compared(turns(calls, rounds, round_seconds, device))


def turns(
    calls: Mapping[str, Call], rounds: int = 11, round_seconds: float = 0.05, device: torch.device = CPU
) -> dict[str, list[float]]:
    """Make each call in turn in every round, so that a machine that speeds up or slows down meets all of them alike.

    One thread of a processor is timed in processor time: that is the time on the clock of a machine with nothing else
    to do, and leaves out the turns of other programs on a busy one.

    Args:
        calls: by name; each is warmed up first.
        rounds: number of rounds.
        round_seconds: how long a call is repeated in one round; at least once.
        device: where the calls compute, to be waited for.

    Returns:
        Name -> milliseconds of one call, round by round.

    Raises:
        ValueError: ``rounds`` is below 1.
    """
    if rounds < 1:
        raise ValueError(f"rounds: expected at least 1, got {rounds}")
    counts = {name: _repeats(call, round_seconds, device) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(1000.0 * _seconds(call, counts[name], device))
    return times


def compared(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the median of the first, and for every other that times the median of its ratio to the first in a round.

    What slows down a round slows down all of its calls, so that their ratios keep.

    >>> compared({"dense": [2.0, 20.0, 4.0], "pruned": [1.0, 10.0, 1.0]})
    {'dense': 4.0, 'pruned': 2.0}
    """
    first = next(iter(times.values()))
    ratios = {name: [one / other for one, other in zip(own, first, strict=True)] for name, own in times.items()}
    return {name: median(first) * median(found) for name, found in ratios.items()}


def race_networks(
    models: Mapping[str, nn.Module], example: Example, rounds: int = 11, round_seconds: float = 0.05
) -> dict[str, float]:
    """Time the forward pass of networks with a whole example, in eval mode without gradients, as :func:`race` does.

    Random generators and modes are as before afterwards. The networks run on the threads that torch now uses.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(saved_random_state())
        for model in models.values():
            stack.enter_context(set_training(model, False))
        calls = {name: _forward(model, example) for name, model in models.items()}
        return race(calls, rounds, round_seconds, _device(models))


def measure_latency(
    models: Mapping[str, nn.Module],
    example_input: Any,
    batch_sizes: Sequence[int] = (1, 32),
    rounds: int = 11,
    round_seconds: float = 0.05,
) -> dict[str, dict[str, float]]:
    """Measure the forward time of several models side by side, see :func:`race_networks`.

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
            raise ValueError(f"{name}: expected at least 1, got {value}")
    example = Example.of(example_input)
    return {
        f"batch_{size}": race_networks(models, example.sized(size), rounds, round_seconds)
        for size in steps("timing", batch_sizes)
    }


def without_remnants(model: nn.Module) -> nn.Module:
    """Return a copy with zeros where parameters or buffers are under 1e-12, to be timed in the place of a dense model.

    What pressing can leave of a weight, 1e-20 or so, makes products under the range of normal numbers, which some
    processors multiply far more slowly; the weights of a network that nothing has pressed do not.

    Args:
        model: stays as it is.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> _ = nn.init.constant_(layer.weight, 1e-20)
        >>> without_remnants(layer).weight.item()
        0.0
    """
    copied = twin(model)
    for tensor in [*copied.parameters(), *copied.buffers()]:
        if tensor.is_floating_point():
            # In new memory: that of a twin's parameters is the model's.
            tensor.data = tensor.data.masked_fill(tensor.data.abs() < REMNANT, 0.0)
    return copied


def _forward(model: nn.Module, example: Example) -> Call:
    batch = example.to(model).calls(model)
    return lambda: batch.run(model)


def _device(models: Mapping[str, nn.Module]) -> torch.device:
    parameters = (parameter for model in models.values() for parameter in model.parameters())
    return next((parameter.device for parameter in parameters), CPU)


def _repeats(call: Call, seconds: float, device: torch.device) -> int:
    """Warm up, and return how many calls fill a round."""
    _seconds(call, 1, device)
    return max(1, round(seconds / _seconds(call, 1, device))) if seconds else 1


def _seconds(call: Call, repeats: int, device: torch.device) -> float:
    """Time of one call, the mean of several in a row."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    now = time.process_time if alone else time.perf_counter
    _wait(device)
    start = now()
    for _ in range(repeats):
        call()
    _wait(device)
    return max(now() - start, _SHORTEST) / repeats


def _wait(device: torch.device) -> None:
    """Accelerators work on while Python goes ahead."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
