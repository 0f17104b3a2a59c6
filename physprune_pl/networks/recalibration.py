"""Batch-norm statistics of a network whose weights have changed, measured anew.

Shape legend: C channels of a layer, B batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import run_eagerly, saved_random_state, set_training


@torch.no_grad()
def recalibrate(model: nn.Module, batches: Iterable[Any]) -> int:
    r"""Recompute the running statistics of every batch norm as plain averages over some batches, in place.

    .. math:: mean = \frac{1}{B} \sum_b mean_b, \qquad var = \frac{1}{B} \sum_b var_b

    with the mean and the unbiased variance, shape [C], of what reaches the layer in batch b; a layer that is called
    several times in a pass counts every call. Batch norms run in training mode meanwhile, so that every layer sees
    inputs normalised by their own batch, and everything else in eval mode: no dropout. Weights are never changed; the
    mode of every module, momentum, ``num_batches_tracked`` and the random generators are as before afterwards. After
    an error, and in layers that no batch reaches, the statistics are as before, too.

    All kinds of batch norm are meant, 1d, 2d, 3d and synchronised, whatever mode they are in: also a layer that is
    frozen by ``eval()``, for a cut changes its inputs as well. Layers with ``track_running_stats=False`` have no
    statistics. Where several processes run, synchronised layers wait for one another: all must call this.

    Args:
        model: any module.
        batches: inputs on the device of the model, each a tensor, a tuple of positional or a dict of keyword
            arguments.

    Returns:
        Number of layers with new statistics; 0 without batch norm, and no batch is read then.

    Raises:
        ValueError: when there are no batches; by PyTorch, when a batch has a single value per channel.

    Source: Y. Wu and J. Johnson, Rethinking "Batch" in BatchNorm, arXiv:2105.07576, section 3 (PreciseBN), with the
    average of the variances in place of the variance of all samples.

    >>> model = nn.BatchNorm1d(2)
    >>> recalibrate(model, [torch.tensor([[1.0, 5.0], [3.0, 5.0]]), torch.tensor([[5.0, 0.0], [7.0, 2.0]])])
    1
    >>> model.running_mean, model.running_var
    (tensor([4., 3.]), tensor([2., 1.]))
    """
    if not has_batch_norm(model):
        return 0
    layers = [layer for layer in model.modules() if _has_statistics(layer)]
    with saved_random_state(), run_eagerly(), set_training(model, False), _averaging(layers):
        passed = 0
        for batch in batches:
            Example.of(batch).run(model)
            passed += 1
        if not passed:
            raise ValueError("batches: expected at least one, got none")
        return sum(bool(layer.num_batches_tracked) for layer in layers)


def has_batch_norm(model: nn.Module) -> bool:
    """Return whether a model has a batch norm with running statistics.

    >>> has_batch_norm(nn.BatchNorm1d(2)), has_batch_norm(nn.LayerNorm(2))
    (True, False)
    """
    return any(_has_statistics(layer) for layer in model.modules())


def _has_statistics(layer: nn.Module) -> bool:
    return isinstance(layer, nn.modules.batchnorm._BatchNorm) and isinstance(layer.running_mean, Tensor)


@contextmanager
def _averaging(layers: list[Any]) -> Iterator[None]:
    """Let layers gather plain averages; one that gathered none, and all after an error, take their old ones back."""
    before = [(layer.momentum, *(buffer.clone() for buffer in _buffers(layer))) for layer in layers]
    failed = True
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.training, layer.momentum = True, None
        yield
        failed = False
    finally:
        for layer, (momentum, mean, variance, tracked) in zip(layers, before, strict=True):
            layer.momentum = momentum
            if failed or not layer.num_batches_tracked:
                layer.running_mean.copy_(mean)
                layer.running_var.copy_(variance)
            layer.num_batches_tracked.copy_(tracked)


def _buffers(layer: Any) -> tuple[Tensor, Tensor, Tensor]:
    return layer.running_mean, layer.running_var, layer.num_batches_tracked
