"""What optimizers remember of parameters that are cut: sliced with them where that can be, else begun anew."""

from __future__ import annotations

import inspect
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from physprune_pl.surgery.cuts import TensorCut
from physprune_pl.surgery.state_layouts import Path, has_entries, layouts_of, part_of

Change = Callable[[Any, Path], Any]

_PLAIN = (Tensor, type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)


def cut_states(optimizers: Sequence[Optimizer], cuts: Mapping[int, TensorCut]) -> Callable[[], None]:
    """Prepare the states of some optimizers, and of those inside of them, for a cut; nothing changes yet.

    Tensors in lists and dicts are sliced too, see :mod:`physprune_pl.surgery.state_layouts`. A state that cannot be
    sliced is dropped, so that the optimizer begins it anew, with one warning for each optimizer; where the optimizer
    counts the steps of a whole group it begins the group anew.

    Args:
        optimizers: the optimizers, with the parameters as they are before the cut.
        cuts: ``id`` of a parameter -> how it is cut.

    Returns:
        A function to call once the parameters are cut.
    """
    # A wrapper may share the state of what it wraps.
    different = {id(one.state): one for optimizer in optimizers for one in with_inner(optimizer)}
    changes = [_StateCut(one, cuts) for one in different.values()]

    def change() -> None:
        for one in changes:
            one.apply()

    return change


def with_inner(optimizer: Optimizer) -> Iterator[Optimizer]:
    """Yield an optimizer and those that it wraps, as Lookahead and SAM do."""
    yield optimizer
    for value in vars(optimizer).values():
        if isinstance(value, Optimizer):
            yield from with_inner(value)


def counters_of(optimizer: Optimizer, group: Mapping[str, Any]) -> list[str]:
    """Entries of a group that the optimizer itself keeps there, such as a number of steps or its mode.

    They are no arguments of its constructor: those are the user's.

    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    >>> counters_of(optimizer, {**optimizer.param_groups[0], "step": 3})
    ['step']
    """
    own = {"step", *getattr(optimizer, "defaults", ())} - _given(optimizer)
    return [name for name in group if name in own]


def counting_attributes(optimizer: Optimizer) -> dict[str, int]:
    """Whole numbers and switches that an optimizer keeps in attributes of its own, likewise no arguments.

    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    >>> optimizer.seen = 3
    >>> counting_attributes(optimizer)
    {'seen': 3}
    """
    given, attributes = _given(optimizer), vars(optimizer).items()
    public = {name: value for name, value in attributes if not name.startswith("_") and name not in given}
    return {name: value for name, value in public.items() if type(value) in (int, bool)}


def _given(optimizer: Optimizer) -> set[str]:
    """Names of the arguments of its constructors, and of those of what it wraps."""
    kinds = [kind for one in with_inner(optimizer) for kind in type(one).__mro__]
    constructors = [vars(kind)["__init__"] for kind in kinds if inspect.isfunction(vars(kind).get("__init__"))]
    return {name for constructor in constructors for name in inspect.signature(constructor).parameters}


class _StateCut:
    """New states of one optimizer, made before the cut and put in their place after it."""

    def __init__(self, optimizer: Optimizer, cuts: Mapping[int, TensorCut]) -> None:
        self.optimizer, self.layouts = optimizer, layouts_of(optimizer.state)
        self.changed: list[tuple[Tensor, dict[Any, Any]]] = []
        self.dropped: list[Tensor] = []
        for parameter, state in optimizer.state.items():
            if id(parameter) in cuts:
                self._cut(parameter, state, cuts[id(parameter)])

    def _cut(self, parameter: Tensor, state: dict[Any, Any], cut: TensorCut) -> None:
        try:
            new = {key: _changed(value, (key,), self._slicing(cut)) for key, value in state.items()}
        except _NoSliceError:
            self.dropped.append(parameter)
        else:
            self.changed.append((parameter, new))

    def _slicing(self, cut: TensorCut) -> Change:
        def change(value: Any, path: Path) -> Any:
            if not has_entries(value):
                return type(value)(cut.shape_after) if _is_shape(value) and tuple(value) == cut.shape else value
            parts = [part_of(value, layout, cut) for layout in self.layouts[path]]
            if not parts or not all(torch.equal(parts[0], other) for other in parts[1:]):
                raise _NoSliceError
            return parts[0]

        return change

    def apply(self) -> None:
        """Give the optimizer its new states."""
        for parameter, state in self.changed:
            self.optimizer.state[parameter].update(state)
        for parameter in self.dropped:
            del self.optimizer.state[parameter]
        gone = {id(parameter) for parameter in self.dropped}
        for group in self.optimizer.param_groups:
            if "step" in group and any(id(parameter) in gone for parameter in group["params"]):
                self._begin_anew(group)
        if gone:
            warnings.warn(_BEGUN_ANEW.format(type(self.optimizer).__name__, len(gone)), UserWarning, stacklevel=5)

    def _begin_anew(self, group: dict[str, Any]) -> None:
        for parameter in group["params"]:
            self.optimizer.state.pop(parameter, None)
        for name in counters_of(self.optimizer, group):
            group[name] = getattr(self.optimizer, "defaults", {}).get(name)
            if group[name] is None:
                del group[name]


_BEGUN_ANEW = (
    "{} keeps with {} of the parameters that are cut what cannot be cut likewise, such as a matrix over all of their "
    "channels: it begins to gather that anew"
)


class _NoSliceError(Exception):
    """A value does not tell how to slice it."""


def _changed(value: Any, path: Path, change: Change) -> Any:
    """Return a value with all tensors and shapes in it changed; containers are made anew.

    Raises:
        _NoSliceError: there is an object in it that nothing is known of.
    """
    if isinstance(value, _PLAIN) or _is_shape(value):
        return change(value, path)
    if type(value) in (dict, OrderedDict):
        return type(value)((key, _changed(item, (*path, key), change)) for key, item in value.items())
    if type(value) in (list, tuple, deque):
        items = [_changed(item, (*path, place), change) for place, item in enumerate(value)]
        return deque(items, value.maxlen) if isinstance(value, deque) else type(value)(items)
    raise _NoSliceError


def _is_shape(value: Any) -> bool:
    return type(value) in (list, tuple, torch.Size) and bool(value) and all(type(item) is int for item in value)
