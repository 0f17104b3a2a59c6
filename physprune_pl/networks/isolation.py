"""Running somebody's model without leaving a mark: modes, buffers, random generators and switches are put back."""

from __future__ import annotations

import copy
import random
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from physprune_pl.networks.copying import abandon, rebind, replacement_for, without_history
from physprune_pl.networks.example import Example
from physprune_pl.networks.saved_state import SavedModel


def copied(model: nn.Module, values: Mapping[str, Tensor] | None = None) -> nn.Module:
    """Return a deep copy; tensors with a history, such as features a module keeps, are copied without it.

    Of what cannot be copied see :func:`~physprune_pl.networks.copying.replacement_for`. Hooks that found the model, or
    a part of it, where they were written find the copy.

    Args:
        model: the model.
        values: name of a parameter -> what it is to hold in the copy; all others are copied.
    """
    others = [(one, values[name]) for name, one in model.named_parameters() if name in (values or {})] if values else []
    return _deep_copy(model, {id(one): nn.Parameter(value, one.requires_grad) for one, value in others})


def twin(model: nn.Module, names: Collection[str] | None = None) -> nn.Module:
    """Return a copy that shares the memory of its parameters, for cuts that put other tensors in their place.

    Args:
        model: the model.
        names: parameters and buffers to share; None for all parameters and no buffer, which runs write to.
    """
    wanted = [tensor for name, tensor in model.named_parameters() if names is None or name in names]
    shared = {id(one): nn.Parameter(one.data, one.requires_grad) for one in wanted if type(one) is nn.Parameter}
    buffers = [tensor for name, tensor in model.named_buffers() if name in (names or ())]
    shared_buffers = {id(one): one.detach() for one in buffers if type(one) is Tensor}
    return _deep_copy(model, {**_fresh_machinery(model), **shared, **shared_buffers})


def _deep_copy(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    known = dict(memo)
    for attempt in range(_ATTEMPTS):
        copies = dict(known)
        try:
            result = copy.deepcopy(model, copies)
            break
        except Exception as error:  # whatever an attribute raises that cannot be copied
            abandon(copies)
            if attempt == _ATTEMPTS - 1:
                raise
            # What makes a copy possible takes longer to find than a copy takes.
            known |= replacement_for(error) if attempt else without_history(model)
    for module in result.modules():
        rebind(module, copies)
    return result


_ATTEMPTS = 200
"""How many objects of a model may refuse to be copied."""


def _fresh_machinery(model: nn.Module) -> dict[int, Any]:
    """Return an empty container for every empty one of a model's modules: copying them one by one is most of a copy."""
    places = [value for module in model.modules() for name, value in vars(module).items() if name in _OWN]
    return {id(place): type(place)() for place in places if type(place) in _CONTAINERS and not place}


_OWN = frozenset(vars(nn.Module()))
"""Attributes that are the machinery of every module: parameters, submodules, hooks, its mode."""
_CONTAINERS = (dict, OrderedDict, set)


@contextmanager
def saved_random_state() -> Iterator[None]:
    """Put the random generators of torch, numpy and Python back on leaving."""
    devices = list(range(torch.cuda.device_count()))
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def seed_everything_inside(seed: int) -> None:
    """Seed all generators; only to be used under :func:`saved_random_state`."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


@contextmanager
def set_training(model: nn.Module, training: bool) -> Iterator[None]:
    """Switch a model to train or eval mode and put the mode of every module back on leaving."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.train(training)
        yield
    finally:
        for module, mode in modes:
            if module.training is not mode:
                module.training = mode


def forget_tables(model: nn.Module) -> None:
    """Let modules drop what they keep for eval mode where ``train()`` does so; modes are as before afterwards."""
    mode = model.training
    with set_training(model, True):
        model.train(mode)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention layers take their ordinary path: the fused one hides what it calls."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def run_eagerly() -> AbstractContextManager[object]:
    """Run compiled modules and functions as plain Python inside; as long as none was made, load no compiler."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def with_shapes(model: nn.Module, example: Example) -> nn.Module:
    """Let lazy layers of a model take their shapes from an example, for good; the model comes back.

    >>> with_shapes(nn.LazyLinear(2), Example.of(torch.ones(1, 3)))
    Linear(in_features=3, out_features=2, bias=True)
    """
    tensors = (*model.parameters(), *model.buffers())
    if any(map(is_lazy, tensors)):
        with torch.no_grad(), saved_random_state(), set_training(model, False):
            example.copy().run(model)
    return model


@contextmanager
def untouched(model: nn.Module) -> Iterator[SavedModel]:
    """Run a model freely inside: gradients off, compiled parts eager, everything put back on leaving."""
    saved = SavedModel(model)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(saved_random_state())
        stack.enter_context(_plain_attention())
        stack.enter_context(run_eagerly())
        stack.enter_context(warnings.catch_warnings())
        # Hooks that name the running module are called twice around a compiled one, which does no harm.
        warnings.filterwarnings("ignore", "Using `torch.compile", UserWarning)
        stack.enter_context(set_training(model, model.training))
        try:
            yield saved
        finally:
            saved.restore()
            saved.parameters.restore()


@contextmanager
def without_autocast() -> Iterator[None]:
    """Leave autocast off, even where a model switches it on: its rounding hides what differs a little."""
    enter: Callable[[Any], Any] = torch.autocast.__enter__

    def entered(context: Any) -> Any:
        result = enter(context)
        torch.set_autocast_enabled(context.device, False)
        return result

    torch.autocast.__enter__ = entered  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.autocast.__enter__ = enter  # type: ignore[method-assign]


@contextmanager
def unwritten(tensors: Mapping[str, Tensor], written: Collection[str]) -> Iterator[None]:
    """Put back what a run writes to: other networks may share its memory."""
    own = {name: tensors[name].data for name in written}
    try:
        for name, values in own.items():
            tensors[name].data = values.clone()
        yield
    finally:
        for name, values in own.items():
            tensors[name].data = values
