"""A trainer for copies of a module: it answers what a step asks, and nothing that a step does reaches the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor, nn
from torch.optim import Optimizer

from physprune_pl.callbacks.trainer.lightning_classes import is_a
from physprune_pl.networks.nested import mapped

_READS = ("get", "state_dict")
"""How the names of methods begin that only tell something."""


class _Still:
    """Looks like another object, and does nothing: its numbers are the other's, its actions have no effect."""

    def __init__(self, real: Any) -> None:
        vars(self)["_real"] = real

    def __getattr__(self, name: str) -> Any:
        value = getattr(vars(self)["_real"], name)
        return _nothing if callable(value) and not name.startswith(_READS) else value


class StillOptimizer(_Still, Optimizer):
    """An optimizer that takes no steps; a closure is run as it would be."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.param_groups = [dict(group) for group in real.param_groups]

    @property
    def optimizer(self) -> StillOptimizer:
        """The optimizer under the wrapping of a trainer: itself."""
        return self

    def step(self, closure: Callable[[], Any] | None = None, **_: Any) -> Any:
        """Run the closure."""
        return None if closure is None else closure()

    def zero_grad(self, *_: Any, **__: Any) -> None:
        """Clear nothing."""

    def add_param_group(self, *_: Any, **__: Any) -> None:
        """Add nothing."""

    def toggle_model(self, *_: Any, **__: Any) -> Any:
        """Freeze nothing."""
        return nullcontext()


def stand_in(trainer: Any, module: nn.Module) -> Any:
    """Return a trainer that looks like another one, for a copy of its module."""
    strategy = _like(trainer.strategy)
    optimizers = [StillOptimizer(one) for one in trainer.strategy.optimizers]
    schedulers = [replace(one, scheduler=_Still(one.scheduler)) for one in trainer.strategy.lr_scheduler_configs]
    vars(strategy).update(
        _lightning_module=module, _model=module, _optimizers=optimizers, _lightning_optimizers=optimizers,
        lr_scheduler_configs=schedulers, backward=_backward, all_gather=_gathering(trainer.world_size),
        reduce=_same, broadcast=_same, barrier=_nothing,
    )  # fmt: skip
    still, connector = _like(trainer), _like(trainer._accelerator_connector)
    connector.strategy = strategy
    loggers = [DummyLogger() for _ in trainer.loggers]
    vars(still).update(_accelerator_connector=connector, _loggers=loggers, save_checkpoint=_nothing, print=_nothing)
    return still


@contextmanager
def attached(module: nn.Module, trainer: Any) -> Iterator[None]:
    """Let a copy of a LightningModule run its steps for a stand-in of a trainer; what it logs goes nowhere."""
    parts = [part for part in module.modules() if is_a(part, "LightningModule")]
    before = [dict(vars(part)) for part in parts]
    silent = ("log", "log_dict", "print", "toggle_optimizer", "untoggle_optimizer", "clip_gradients")
    acts = {"_trainer": trainer, "manual_backward": _backward, "all_gather": _gathering(trainer.world_size)}
    for part in parts:
        vars(part).update(acts, **dict.fromkeys(silent, _nothing))
    try:
        yield
    finally:
        for part, attributes in zip(parts, before, strict=True):
            for name in (*silent, *acts):
                vars(part).pop(name)
                vars(part).update({name: attributes[name]} if name in attributes else {})


def _like(real: Any) -> Any:
    """Return an object of the same class with the same attributes; lists, sets and dicts are its own."""
    twin = object.__new__(type(real))
    own = (list, set, dict)
    vars(twin).update({name: one.copy() if isinstance(one, own) else one for name, one in vars(real).items()})
    return twin


def _nothing(*_: Any, **__: Any) -> None:
    """Stand in for an action."""


def _same(value: Any, *_: Any, **__: Any) -> Any:
    """Stand in for what brings the values of processes together."""
    return value


def _backward(loss: Tensor, *_: Any, **__: Any) -> None:
    """Hand a loss to whoever watches; under a watch nothing else happens."""
    loss.backward()  # type: ignore[no-untyped-call]


def _gathering(processes: int) -> Callable[..., Any]:
    def all_gather(data: Any, *_: Any, **__: Any) -> Any:
        return data if processes == 1 else mapped(data, lambda one: torch.stack([one] * processes))

    return all_gather
