"""Loading a checkpoint of another width: shapes are adopted before the weights are, and checked after."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from physprune_pl.identity import plain
from physprune_pl.plan import PruningPlan
from physprune_pl.surgery import adopt_shapes, named_tensors

Shapes = dict[str, tuple[int, ...]]


class AnyWidth:
    """Lets a module load state dicts of other widths, as long as it is attached."""

    def __init__(self) -> None:
        self._adopted: Shapes = {}
        self._handle: RemovableHandle | None = None

    def attach(self, module: nn.Module) -> None:
        """From now on give the module the shapes of any state dict before it is loaded."""
        self.detach()
        self._adopted.clear()
        register: Any = module.register_load_state_dict_pre_hook
        self._handle = register(partial(_adopt, self._adopted))

    def detach(self) -> None:
        """Leave the module alone again."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def check(self, prefix: str, stored: PruningPlan | None, own: PruningPlan | None) -> None:
        """Accept only shapes that a plan explains: those after the checkpoint's cut, or those before our own.

        Raises:
            ValueError: a shape was adopted for another reason.
        """
        for name, shape in self._adopted.items():
            after = stored.tensors.get(name.removeprefix(prefix)) if stored is not None else None
            before = own.tensors.get(name.removeprefix(prefix)) if stored is None and own is not None else None
            if shape not in (after and after.shape_after, before and before.shape):
                raise ValueError(
                    f"checkpoint: {name!r} has shape {shape} there, and no pruning plan in it explains that"
                )


def _adopt(adopted: Shapes, module: nn.Module, state_dict: Mapping[str, Any], *_: Any) -> None:
    tensors = named_tensors(module)
    incoming = {plain(name): tuple(value.shape) for name, value in state_dict.items() if isinstance(value, Tensor)}
    changed = {name: shape for name, shape in incoming.items() if _differs(tensors.get(name), shape)}
    adopt_shapes(module, changed)
    adopted.update(changed)


def _differs(tensor: Tensor | None, shape: tuple[int, ...]) -> bool:
    return tensor is not None and tensor.dim() == len(shape) and tuple(tensor.shape) != shape
