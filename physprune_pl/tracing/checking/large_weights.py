"""Large weights of copies: kept as they are stored, and masked and lengthened layer by layer, where they are used."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from physprune_pl.networks.names import named_tensors
from physprune_pl.networks.taking import Scratch, taken
from physprune_pl.probing.mixing.row_blocks import RowBlock
from physprune_pl.probing.operations.operation_rows import Argument, Layout, LooksUp
from physprune_pl.probing.operations.operations import TELLING, conv_groups, layout_of, operands, operation_of
from physprune_pl.probing.operations.transposes import transposed_parameter
from physprune_pl.probing.watching.tainting import tensors_of_call
from physprune_pl.tracing.checking.known_calls import KnownCalls

LARGE = 2**16
"""From so many elements on a weight is worth the trouble."""
_AT_ONCE = 2**18
"""So many elements of one are lengthened at once, or a row of it."""

Call = Callable[..., Any]

_VIEWS = {
    *(Tensor.__getitem__, Tensor.chunk, Tensor.split, Tensor.narrow, Tensor.unbind, Tensor.view, Tensor.view_as),
    *(torch.chunk, torch.split, torch.narrow, torch.unbind, Tensor.tensor_split, torch.tensor_split),
}
_READ = TELLING | {Tensor.size, *(getattr(Tensor, name).__get__ for name in ("shape", "_base"))}
"""What looks at a tensor and not at its numbers."""
_TYPE = Tensor.dtype.__get__  # type: ignore[attr-defined]


class LargeWeights(TorchFunctionMode):
    """Lets a network compute with some of its weights as if they were masked and of another type than they are.

    A copy of them in the other type would be twice as large as the network, and a masked copy of that as well. Instead
    the part of a weight that is not masked is lengthened where a layer uses it: what is masked adds zeros.

    Args:
        tensors: parameters, by name.
        names: those of them to be treated so.
        dtype: the type to compute with.
        scratch: memory that such objects may share, as long as they are not in use at the same time.
        known: what calls with these weights have put out or will put out in another run; None: nobody asks.

    Attributes:
        odd: names of weights that were used otherwise than as rows that a layer mixes channels with or looks up.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        names: Collection[str],
        dtype: torch.dtype,
        scratch: tuple[Scratch, Scratch, Scratch] | None = None,
        known: KnownCalls | None = None,
    ) -> None:
        super().__init__()
        self._own = {id(tensors[name]): tensors[name] for name in names}
        self._names = {id(tensors[name]): name for name in names}
        self.odd: set[str] = set()
        self._masks: dict[tuple[int, int], Tensor] = {}
        self._dtype, self._known = dtype, known
        self._rows, self._columns, self._long = scratch or (Scratch(), Scratch(), Scratch())

    def __enter__(self) -> LargeWeights:
        if self._own:
            super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        if self._own:
            super().__exit__(*error)  # type: ignore[no-untyped-call]

    def mask(self, tensor: Tensor, dim: int, index: Tensor) -> bool:
        """Take indices of a dimension for zero from now on; False if that is to be done to the tensor itself."""
        if id(tensor) not in self._own:
            return False
        key = id(tensor), dim
        self._masks.setdefault(key, torch.zeros(tensor.shape[dim], dtype=torch.bool))[index] = True
        return True

    def __torch_function__(
        self, func: Call, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation."""
        kwargs = kwargs or {}
        mine = [one for one in tensors_of_call(args, kwargs) if id(_owner(one)) in self._own]
        if not mine or func in _READ or func in _VIEWS:
            return func(*args, **kwargs)
        if func == _TYPE:
            return self._dtype
        call = _Mixes.of(func, args, kwargs) if len(mine) == 1 else None
        if call is not None and call.weight is mine[0]:
            if bool(call.data.isfinite().all()):
                return self._mix(call) if self._known is None else self._remembered(call, self._known)
        elif len(mine) == 1 and _looks_up(func, args, kwargs, mine[0]):
            if (id(mine[0]), 0) not in self._masks:
                return self._look_up(func(*args, **kwargs), mine[0])
        else:
            self.odd.update(self._names[id(_owner(one))] for one in mine)
        return call_with(func, args, kwargs, {id(one): self._whole(one) for one in mine})

    def _look_up(self, rows: Tensor, weight: Tensor) -> Tensor:
        """Return what was looked up in a table, lengthened and masked."""
        mask = self._masks.get((id(weight), 1))
        rows = rows.to(self._dtype)
        return rows if mask is None else rows.index_fill(-1, mask.nonzero().flatten().to(rows.device), 0.0)

    def _remembered(self, call: _Mixes, known: KnownCalls) -> Tensor:
        """Make a call, if its output is not known from another run; nothing is masked in either."""
        weight = call.weight
        place = id(_owner(weight)), weight.storage_offset(), weight.shape, weight.stride()
        values = [value for value in (*call.args, *sorted(call.kwargs)) if value is not weight]
        values += [call.kwargs[name] for name in sorted(call.kwargs) if call.kwargs[name] is not weight]
        return known.output(place, weight.numel(), [call.func, *values], partial(self._mix, call))

    def _mix(self, call: _Mixes) -> Tensor:
        """Make a call with the part of its weight that is not masked, some rows at a time: those stay in the cache."""
        rows, columns = self._kept(call.weight, 0), self._kept(call.weight, 1)
        data = _taken(call.data, call.axis, columns)
        count = len(call.weight) if rows is None else len(rows)
        step = max(1, _AT_ONCE * len(call.weight) // max(1, call.weight.numel()))
        parts = [
            call.made(data, *self._part(call, slice(first, first + step), rows, columns))
            for first in range(0, count, step)
        ]
        output = parts[0] if len(parts) == 1 else torch.cat(parts, call.axis)
        if rows is None:
            return output
        shape = list(output.shape)
        shape[call.axis] = len(call.weight)
        full = output.new_zeros(shape)
        if call.bias is not None:
            full += call.bias.view(-1, *[1] * (-1 - call.axis))
        return full.index_copy_(call.axis, rows, output)

    def _part(
        self, call: _Mixes, some: slice, rows: Tensor | None, columns: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return some of the rows of a weight that are not masked, lengthened, and of its bias."""
        own = None if rows is None else rows[some]
        weight = call.weight[some] if own is None else _taken(call.weight, 0, own, self._rows)
        weight = self._lengthened(_taken(weight, 1, columns, self._columns))
        if call.bias is None:
            return weight, None
        return weight, call.bias[some] if own is None else call.bias[own]

    def _lengthened(self, weight: Tensor) -> Tensor:
        if weight.dtype is self._dtype:
            return weight
        return self._long.tensor(tuple(weight.shape), weight, self._dtype).copy_(weight)

    def _kept(self, weight: Tensor, dim: int) -> Tensor | None:
        """Return which rows or columns of a weight, or of a part of one, are not masked; None for all."""
        block = RowBlock.of(weight)
        mask = self._masks.get((id(block.owner), dim))
        if mask is None:
            return None
        return (~(block.part_of(mask) if dim == 0 else mask)).nonzero().flatten().to(weight.device)

    def _whole(self, tensor: Tensor) -> Tensor:
        """Return what a tensor, or a view of it, stands for."""
        owner = _owner(tensor)
        values = owner.detach().to(self._dtype, copy=True)
        for (own, dim), mask in self._masks.items():
            if own == id(owner):
                values.index_fill_(dim, mask.nonzero().flatten().to(values.device), 0.0)
        if tensor is owner:
            return values
        return values.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset() - owner.storage_offset())


@dataclass(frozen=True)
class _Mixes:
    """A call of a linear layer or of a convolution in one group, with whole rows of a weight."""

    func: Call
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    axis: int
    data: Tensor
    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, func: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Mixes | None:
        """Read a call; None if it is another one."""
        layout = layout_of(func, args, kwargs)
        if layout is None or not _is_plain(layout) or conv_groups(func, args, kwargs) > 1:
            return None
        data, weight, bias = operands(func, args, kwargs)
        if transposed_parameter(weight) is not None:
            return None
        whole = isinstance(RowBlock.of(weight).owner, nn.Parameter) and weight is not data and bias is not weight
        return cls(func, args, kwargs, layout.axis, data, weight, bias) if whole else None

    def made(self, data: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Make the call with other tensors."""
        swapped = {id(self.data): data, id(self.weight): weight, id(self.bias): bias}
        args = [swapped.get(id(value), value) for value in self.args]
        output: Tensor = self.func(*args, **{key: swapped.get(id(value), value) for key, value in self.kwargs.items()})
        return output


def _looks_up(func: Call, args: tuple[Any, ...], kwargs: dict[str, Any], table: Tensor) -> bool:
    """Return whether a call puts out rows of a table, and leaves the table as it is."""
    if func not in (F.embedding, torch.embedding):
        return False
    row = operation_of(func)
    renorms = func is F.embedding and _MAX_NORM.of(args, kwargs) is not None
    return isinstance(row, LooksUp) and row.weight.of(args, kwargs) is table and not renorms


_MAX_NORM = Argument(3, ("max_norm",))


def _is_plain(layout: Layout) -> bool:
    return not layout.transposed and (layout.output_dim, layout.input_dim) == (0, 1) and layout.axis < 0


def _owner(tensor: Tensor) -> Tensor:
    return tensor if tensor._base is None else tensor._base


def _taken(tensor: Tensor, axis: int, index: Tensor | None, scratch: Scratch | None = None) -> Tensor:
    if index is None:
        return tensor
    axis %= tensor.dim()
    shape = (*tensor.shape[:axis], len(index), *tensor.shape[axis + 1 :])
    return taken(tensor, axis, index, None if scratch is None else scratch.tensor(shape, tensor))


def call_with(func: Call, args: tuple[Any, ...], kwargs: dict[str, Any], swapped: Mapping[int, Tensor]) -> Any:
    """Make a call with some tensors exchanged, however deep they are in its arguments."""

    def exchanged(value: Any) -> Any:
        return swapped.get(id(value), value)

    args, kwargs = torch.utils._pytree.tree_map(exchanged, (args, kwargs))
    return func(*args, **kwargs)


def large_weights(model: nn.Module) -> Iterator[str]:
    """Yield the names of the large weights that Python code sees all operations of."""
    hidden = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, torch.jit.ScriptModule)
        for parameter in module.parameters()
    }
    for name, tensor in named_tensors(model).items():
        usual = type(tensor) is nn.Parameter and tensor.is_floating_point() and tensor.layout is torch.strided
        if usual and tensor.dim() > 1 and tensor.numel() >= LARGE and id(tensor) not in hidden:
            yield name
