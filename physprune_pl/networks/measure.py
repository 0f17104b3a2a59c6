"""What a model costs: MACs, parameters and bytes, taken from the model itself."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import set_training, untouched
from physprune_pl.networks.operation_counts import UNCOUNTED


def count_macs(model: nn.Module, example_input: Any) -> int:
    """Count the MACs of convolutions, linear and recurrent layers and attention products of one sample in eval mode.

    This is half of what ``torch.utils.flop_counter.FlopCounterMode`` counts with the attention fast path off, and
    what it takes for nothing: fused recurrent layers and ``nn.Bilinear``. Compiled parts run eagerly. The first
    dimension of every tensor of the input is cut to 1; if the model does not run on that, as on a part of a graph, its
    input is counted as it is.

    Args:
        model: any module; modes, buffers and random numbers are as before afterwards.
        example_input: a tensor, a tuple of positional arguments or a dict of keyword arguments.

    Returns:
        MACs of one sample, or of the whole input.

    Example:
        >>> count_macs(nn.Linear(4, 3), torch.zeros(8, 4))
        12
    """
    example = Example.of(example_input).to(model)
    with untouched(model):
        try:
            return macs_of_run(model, example)
        except Exception:  # whatever the model raises: its tensors may have no dimension of samples
            return macs_of_run(model, replace(example, whole=True))


def macs_of_run(model: nn.Module, example: Example) -> int:
    """Count as `count_macs` does, for callers that put the model back themselves; gradients are off."""
    sample = example.sized(1).copy()
    counter = FlopCounterMode(display=False, custom_mapping=dict(UNCOUNTED))
    # Only the sum is wanted; counting by module would hook every module's gradients, which not all of them stand.
    counter.mod_tracker = _WholeModel()
    # Fused attention is no operation that every version of the counter knows; its products one by one are.
    plain = sdpa_kernel(SDPBackend.MATH)
    with set_training(model, False):
        calls = sample.calls(model)
        with plain, counter:
            calls.run(model)
    return counter.get_total_flops() // 2


class _WholeModel(ModuleTracker):
    """Says of every operation that it belongs to the model, and looks no further."""

    def __init__(self) -> None:
        super().__init__()
        self.parents = {"Global"}

    def __enter__(self) -> _WholeModel:
        return self

    def __exit__(self, *_: object) -> None:
        return


def count_parameters(model: nn.Module) -> int:
    """Count the elements of all parameters; a tensor tied to several names counts once.

    >>> count_parameters(nn.Linear(4, 3))
    15
    """
    return sum(parameter.numel() for parameter in model.parameters())


def file_bytes(model: nn.Module) -> int:
    """Return the size in bytes of the model's state dict, saved by ``torch.save``.

    >>> file_bytes(nn.Linear(100, 100)) > 4 * 100 * 101
    True
    """
    counter = _Counter()
    torch.save(model.state_dict(), counter)
    return counter.count


class _Counter(io.BytesIO):
    """Takes a file and keeps its length alone: weights may be as large as the memory."""

    count = 0

    def write(self, content: Any) -> int:
        """Count some bytes."""
        self.count += len(content)
        return len(content)
