"""Loading a checkpoint of another width: shapes are adopted before the weights are, and checked after."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from physprune_pl.plan import PruningPlan
from physprune_pl.surgery import adopt_shapes, named_tensors, plain

Shapes = dict[str, tuple[int, ...]]


def adopt_on_load(module: nn.Module, adopted: Shapes) -> RemovableHandle:
    """From now on give the module the shapes of any state dict it loads; what changes is noted in `adopted`."""
    register: Any = module.register_load_state_dict_pre_hook
    handle: RemovableHandle = register(partial(_adopt, adopted))
    return handle


def _adopt(adopted: Shapes, module: nn.Module, state_dict: Mapping[str, Any], *_: Any) -> None:
    tensors = named_tensors(module)
    incoming = {plain(name): tuple(value.shape) for name, value in state_dict.items() if isinstance(value, Tensor)}
    changed = {name: shape for name, shape in incoming.items() if _differs(tensors.get(name), shape)}
    adopt_shapes(module, changed)
    adopted.update(changed)


def _differs(tensor: Tensor | None, shape: tuple[int, ...]) -> bool:
    return tensor is not None and tensor.dim() == len(shape) and tuple(tensor.shape) != shape


def check_adopted(adopted: Shapes, prefix: str, stored: PruningPlan | None, own: PruningPlan | None) -> None:
    """Accept only shapes that a plan explains: the cut ones of the checkpoint, or the dense ones from before our cut.

    Raises:
        ValueError: a shape of the checkpoint has another reason.
    """
    for name, shape in adopted.items():
        after = stored.tensors.get(name.removeprefix(prefix)) if stored is not None else None
        before = own.tensors.get(name.removeprefix(prefix)) if stored is None and own is not None else None
        if shape not in (after and after.shape_after, before and before.shape):
            raise ValueError(f"checkpoint: {name!r} has shape {shape} there, and no pruning plan in it explains that")
