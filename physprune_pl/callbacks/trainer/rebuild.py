"""Optimizers and schedulers of the fine-tuning phase: configured anew, with smaller rates and the old moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer

from physprune_pl.callbacks.trainer.injection import held_ids
from physprune_pl.callbacks.trainer.kept_optimizers import go_on_with, lasting
from physprune_pl.callbacks.trainer.parameter_groups import regroup
from physprune_pl.surgery.optimizer_states import counters_of, counting_attributes, with_inner

FINETUNE_FACTOR = 0.1

_GROUP_RATES = ("lr", "initial_lr", "max_lr", "min_lr", "swa_lr")
_GROUP_SCHEDULED = ("params", *_GROUP_RATES, "base_momentum", "max_momentum")
_SCHEDULER_RATES = ("base_lrs", "max_lrs", "min_lrs", "_last_lr")
_SCHEDULER_FLOORS = ("eta_min",)


def rebuild_optimizers(trainer: Trainer, epochs: int, finetune_lr: float | None) -> None:
    """Call ``configure_optimizers`` again, for a phase of its own after the cut.

    ``trainer.max_epochs`` reads ``epochs`` meanwhile, so that ``estimated_stepping_batches`` counts this phase. The
    learning rate of every group, and with it the whole curve of its scheduler, is multiplied by 0.1, or so that it
    starts (with OneCycleLR: peaks) at ``finetune_lr``. Groups that others have added since come along. Optimizers of
    the same class go on with what the old ones remember: moments, counters, and the mode (train or eval) that some
    have. Where ``configure_optimizers`` fails, or leaves out what was optimized before, the old optimizers go on, see
    :func:`~physprune_pl.callbacks.trainer.kept_optimizers.go_on_with`.
    """
    strategy = trainer.strategy
    before, configs = list(strategy.optimizers), list(strategy.lr_scheduler_configs)
    try:
        with lasting(trainer, epochs):
            strategy.setup_optimizers(trainer)
        _check_held(before[len(strategy.optimizers) :], strategy.optimizers)
    except Exception as error:  # whatever a second call raises: the weights of a whole phase must not be lost for it
        go_on_with(trainer, before, configs, error)
    factors = {id(optimizer): _scale_groups(optimizer, finetune_lr) for optimizer in strategy.optimizers}
    for config in strategy.lr_scheduler_configs:
        _scale_scheduler(config.scheduler, factors)
    replaced = [pair for pair in zip(before, strategy.optimizers, strict=False) if pair[0] is not pair[1]]
    for old, new in replaced:
        _regroup(new, old, finetune_lr)
        _carry_counters(old, new)
    _carry_moments(before, strategy.optimizers)


def _scale_groups(optimizer: Optimizer, finetune_lr: float | None) -> list[float]:
    """Scale the rates of every group; return the factors."""
    return [_scale(group, finetune_lr) for group in optimizer.param_groups]


def _scale(group: dict[str, Any], finetune_lr: float | None) -> float:
    given = (group.get(name) for name in ("max_lr", "initial_lr", "lr"))
    start = next((float(rate) for rate in given if rate is not None), 0.0)
    factor = FINETUNE_FACTOR if finetune_lr is None else finetune_lr / start if start > 0 else 1.0
    for name in _GROUP_RATES:
        if isinstance(group.get(name), int | float | Tensor):
            group[name] = group[name] * factor
    return factor


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


def _regroup(new: Optimizer, old: Optimizer, finetune_lr: float | None) -> None:
    """Let groups that others have added to the old optimizer come along, at rates of fine-tuning."""
    groups = [dict(group) for group in old.param_groups]
    for group in groups:
        if "initial_lr" in group:
            group["lr"] = group["initial_lr"]
        _scale(group, finetune_lr)
    back = [one for one in regroup(new, groups) if one.requires_grad]
    if back:
        rank_zero_warn(
            f"configure_optimizers left out {len(back)} trainable parameters after the cut that it held before, of "
            f"shapes {[tuple(one.shape) for one in back[:3]]}: they go on in their group"
        )


def _carry_counters(old: Optimizer, new: Optimizer) -> None:
    """Let a new optimizer count on where the old one has stopped, group by group, and be in its mode."""
    if type(old) is not type(new):
        return
    homes = {id(parameter): group for group in old.param_groups for parameter in group["params"]}
    for group in new.param_groups:
        home = next((homes[id(one)] for one in group["params"] if id(one) in homes), {})
        made = [name for name in home if name not in group]
        names = [name for name in (*made, *counters_of(old, home)) if name not in _GROUP_SCHEDULED]
        group.update({name: home[name] for name in names})
    vars(new).update({name: value for name, value in counting_attributes(old).items() if name in vars(new)})


def _carry_moments(before: Sequence[Optimizer], after: Sequence[Optimizer]) -> None:
    sources = [inner for optimizer in before for inner in with_inner(optimizer)]
    for optimizer in (inner for one in after for inner in with_inner(one)):
        same = [old for old in sources if type(old) is type(optimizer)]
        for parameter in held_by([optimizer]):
            state = next((old.state[parameter] for old in same if parameter in old.state), None)
            if state is not None:
                optimizer.state[parameter] = state


def held_by(optimizers: Iterable[Optimizer]) -> Iterator[Tensor]:
    """All parameters of the optimizers."""
    return (parameter for one in optimizers for group in one.param_groups for parameter in group["params"])


def _check_held(before: Iterable[Optimizer], after: Sequence[Optimizer]) -> None:
    """Refuse that no optimizer holds what one of before has held; groups of one that is there can be given back."""
    held = held_ids(after)
    lost = [tuple(one.shape) for one in held_by(before) if one.requires_grad and id(one) not in held]
    if lost:
        raise RuntimeError(
            f"configure_optimizers left out {len(lost)} trainable parameters after the cut that it held before, "
            f"of shapes {lost[:3]}"
        )
