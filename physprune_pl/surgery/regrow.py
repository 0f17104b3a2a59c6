"""A cut network at its shapes of before the cut: for what asks about the whole network once it is gone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from physprune_pl.networks.isolation import twin
from physprune_pl.networks.names import tensors_by_every_name
from physprune_pl.surgery.apply import reshape
from physprune_pl.surgery.cuts import TensorCut
from physprune_pl.surgery.plan import PruningPlan

Model = TypeVar("Model", bound=nn.Module)


def regrow(model: Model, plan: PruningPlan) -> Model:
    """Give a network that a plan was applied to the shapes of before again, in place.

    What stayed is where it was. In the place of what went stands a copy of a channel that stayed, so that statistics
    are such as networks have; what the network computes is something else.

    Args:
        model: the cut network.
        plan: that it was cut by.

    Returns:
        The model that came in.

    Raises:
        ValueError: the network has other shapes than the plan leaves.

    >>> from physprune_pl import apply_plan, plan_pruning
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> plan = plan_pruning(model, torch.zeros(1, 4), {"macs": 0.5})
    >>> regrow(apply_plan(model, plan), plan)
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
      (2): Linear(in_features=8, out_features=2, bias=True)
    )
    """
    tensors = tensors_by_every_name(model)
    for name, cut in plan.tensors.items():
        if name not in tensors or tuple(tensors[name].shape) != cut.shape_after:
            found = tuple(tensors[name].shape) if name in tensors else "no such tensor"
            raise ValueError(f"plan: it leaves {name!r} with shape {cut.shape_after}, the model has {found}")
    values = {name: _spread(tensors[name].detach(), cut) for name, cut in plan.tensors.items()}
    shapes = {name: cut.shape for name, cut in plan.tensors.items()}
    reshape(model, shapes, {name: pair[::-1] for name, pair in plan.sizes.items()})
    with torch.no_grad():
        for name, value in values.items():
            tensors[name].copy_(value)
    return model


def dense_twin(model: nn.Module, plan: PruningPlan | None) -> nn.Module:
    """Return a network that was cut as it was before, see :func:`regrow`: a copy; without a plan it is dense itself."""
    return model if plan is None else regrow(twin(model), plan)


def _spread(tensor: Tensor, cut: TensorCut) -> Tensor:
    for dim, kept in cut.keep.items():
        tensor = tensor.index_select(dim, torch.tensor(_sources(kept, cut.shape[dim]), device=tensor.device))
    return tensor


def _sources(kept: Sequence[int], size: int) -> list[int]:
    """Return for each index of before the place of what stands there: its own, else that of the next lower one.

    >>> _sources((1, 3), 5)
    [0, 0, 0, 1, 1]
    """
    return [max(bisect_right(kept, index) - 1, 0) for index in range(size)]
