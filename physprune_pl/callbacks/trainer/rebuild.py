"""Optimizers and schedulers of the fine-tuning phase: configured anew, with smaller rates and the old moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor
from torch.optim import Optimizer

from physprune_pl.callbacks.trainer.injection import held_ids

FINETUNE_FACTOR = 0.1

_GROUP_RATES = ("lr", "initial_lr", "max_lr", "min_lr", "swa_lr")
_SCHEDULER_RATES = ("base_lrs", "max_lrs", "min_lrs", "_last_lr")
_SCHEDULER_FLOORS = ("eta_min",)


def rebuild_optimizers(trainer: Trainer, epochs: int, finetune_lr: float | None) -> None:
    """Call ``configure_optimizers`` again, for a phase of its own after the cut.

    ``trainer.max_epochs`` reads ``epochs`` meanwhile, so that ``estimated_stepping_batches`` counts this phase. The
    learning rate of every group, and with it the whole curve of its scheduler, is multiplied by 0.1, or so that it
    starts (with OneCycleLR: peaks) at ``finetune_lr``. Moments are carried into optimizers of the same class.

    Raises:
        RuntimeError: a trainable parameter that was optimized before has no optimizer now.
    """
    strategy, loop = trainer.strategy, trainer.fit_loop
    before: list[Optimizer] = list(strategy.optimizers)
    total = loop.max_epochs
    loop.max_epochs = epochs
    try:
        strategy.setup_optimizers(trainer)
    finally:
        loop.max_epochs = total
    factors = {id(optimizer): _scale_groups(optimizer, finetune_lr) for optimizer in strategy.optimizers}
    for config in strategy.lr_scheduler_configs:
        _scale_scheduler(config.scheduler, factors)
    _carry_moments(before, strategy.optimizers)
    _check_held(before, strategy.optimizers)


def _scale_groups(optimizer: Optimizer, finetune_lr: float | None) -> list[float]:
    """Scale the rates of every group; return the factors."""
    factors = []
    for group in optimizer.param_groups:
        start = float(next(group[name] for name in ("max_lr", "initial_lr", "lr") if name in group))
        factor = FINETUNE_FACTOR if finetune_lr is None else finetune_lr / start if start > 0 else 1.0
        for name in _GROUP_RATES:
            if isinstance(group.get(name), int | float | Tensor):
                group[name] = group[name] * factor
        factors.append(factor)
    return factors


def _scale_scheduler(scheduler: Any, factors: dict[int, list[float]]) -> None:
    for part in getattr(scheduler, "_schedulers", ()):
        _scale_scheduler(part, factors)
    scale = factors.get(id(getattr(scheduler, "optimizer", None)), [])
    for name in _SCHEDULER_RATES:
        rates = getattr(scheduler, name, None)
        if isinstance(rates, list) and len(rates) == len(scale):
            setattr(scheduler, name, [rate * factor for rate, factor in zip(rates, scale, strict=True)])
    for name in _SCHEDULER_FLOORS:
        floor = getattr(scheduler, name, None)
        if isinstance(floor, int | float) and scale:
            setattr(scheduler, name, floor * scale[0])


def _carry_moments(before: Sequence[Optimizer], after: Sequence[Optimizer]) -> None:
    for optimizer in after:
        sources = [old for old in before if type(old) is type(optimizer)]
        for parameter in held_by([optimizer]):
            state = next((old.state[parameter] for old in sources if parameter in old.state), None)
            if state is not None:
                optimizer.state[parameter] = state


def held_by(optimizers: Iterable[Optimizer]) -> Iterator[Tensor]:
    """All parameters of the optimizers."""
    return (parameter for one in optimizers for group in one.param_groups for parameter in group["params"])


def _check_held(before: Sequence[Optimizer], after: Sequence[Optimizer]) -> None:
    held = held_ids(after)
    lost = [tuple(one.shape) for one in held_by(before) if one.requires_grad and id(one) not in held]
    if lost and held:
        raise RuntimeError(
            f"configure_optimizers left out {len(lost)} trainable parameters after the cut that it held before, "
            f"of shapes {lost[:3]}"
        )
