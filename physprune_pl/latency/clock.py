"""What tells the time: layers by themselves, and whole networks side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Protocol

import torch
from torch import nn

from physprune_pl.latency.layers import LayerShape
from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import saved_random_state, set_training

Call = Callable[[], object]

ROUNDS = 5
ROUND_SECONDS = 0.002
NETWORK_ROUNDS = 9
NETWORK_SECONDS = 0.02
_SHORTEST = 1e-7
"""Seconds; a coarse clock may see nothing pass."""


class Clock(Protocol):
    """Times layers and networks; a synthetic one computes what a real one measures."""

    def layer(self, shape: LayerShape, device: torch.device, dtype: torch.dtype) -> float:
        """Return milliseconds of one call of a layer."""
        ...

    def networks(self, models: Mapping[str, nn.Module], example: Example) -> dict[str, float]:
        """Return milliseconds of one call of each network with the whole example, the first one's for comparison."""
        ...


class DeviceClock:
    """Measures on the device itself, on the threads torch now uses: medians over rounds, networks in turn.

    One thread of the processor is timed in processor time: that is the time on the clock of a machine with nothing
    else to do, and leaves out the turns of other programs on a busy one.
    """

    def layer(self, shape: LayerShape, device: torch.device, dtype: torch.dtype) -> float:
        """Return the median over short rounds, each of as many calls as fill it."""
        call = shape.call(device, dtype)
        with torch.inference_mode():
            calls = _calls(call, device, ROUND_SECONDS)
            return 1000.0 * median(_seconds(call, calls, device) for _ in range(ROUNDS))

    def networks(self, models: Mapping[str, nn.Module], example: Example) -> dict[str, float]:
        """Time each network in turn in every round; compare with the first within a round, and return medians.

        What slows down some rounds slows all networks of a round, so that their ratios keep.
        """
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(saved_random_state())
            calls: dict[str, Call] = {}
            for name, model in models.items():
                stack.enter_context(set_training(model, False))
                calls[name] = _forward(model, example)
            device = _device(models)
            counts = {name: _calls(call, device, NETWORK_SECONDS) for name, call in calls.items()}
            times: dict[str, list[float]] = {name: [] for name in models}
            for _ in range(NETWORK_ROUNDS):
                for name, call in calls.items():
                    times[name].append(1000.0 * _seconds(call, counts[name], device))
        return _against_first(times)


def _against_first(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the median of the first, and of the others that times their median ratio to the first.

    >>> _against_first({"dense": [2.0, 20.0, 4.0], "pruned": [1.0, 10.0, 1.0]})
    {'dense': 4.0, 'pruned': 2.0}
    """
    first = next(iter(times.values()))
    ratios = {name: [one / other for one, other in zip(own, first, strict=True)] for name, own in times.items()}
    return {name: median(first) * median(found) for name, found in ratios.items()}


def _forward(model: nn.Module, example: Example) -> Call:
    batch = example.to(model).calls(model)
    return lambda: batch.run(model)


def _device(models: Mapping[str, nn.Module]) -> torch.device:
    parameters = (parameter for model in models.values() for parameter in model.parameters())
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


def _calls(call: Call, device: torch.device, seconds: float) -> int:
    """Warm up, and return how many calls fill a round."""
    _seconds(call, 1, device)
    return max(1, round(seconds / _seconds(call, 1, device)))


def _seconds(call: Call, calls: int, device: torch.device) -> float:
    """Time of one call, the mean of several in a row."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    now = time.process_time if alone else time.perf_counter
    _wait(device)
    start = now()
    for _ in range(calls):
        call()
    _wait(device)
    return max(now() - start, _SHORTEST) / calls


def _wait(device: torch.device) -> None:
    """Accelerators work on while Python goes ahead."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
