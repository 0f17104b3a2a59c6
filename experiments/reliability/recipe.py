"""What the numbers of a fit depend on: precision, accumulation, clipping, optimizer, scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from lightning.pytorch.callbacks import Callback, GradientAccumulationScheduler
from lightning.pytorch.plugins import MixedPrecision
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from experiments.reliability.network import sgd

MakeScheduler = Callable[[Optimizer, float, int, int], Any]


def constant(optimizer: Optimizer, rate: float, steps: int, epochs: int) -> Any:  # noqa: ARG001
    """No scheduler to speak of."""
    return LambdaLR(optimizer, lambda _: 1.0)


@dataclass(frozen=True)
class Recipe:
    """What a row varies; a trainer and a plain loop follow it alike.

    Attributes:
        precision: Lightning's name of the precision.
        accumulate: first epoch -> number of batches to a step.
        clipping: what is limited, and to how much; None: nothing.
        optimizer: builds the optimizer from parameters and a learning rate.
        scheduler: builds the scheduler from optimizer, learning rate, steps and epochs of the phase.
        interval: when the scheduler steps.
        tolerance: largest relative difference between weights of the two fits.
    """

    precision: Literal["32-true", "64-true", "bf16-mixed", "16-mixed"] = "64-true"
    accumulate: Mapping[int, int] = field(default_factory=lambda: {0: 1})
    clipping: tuple[Literal["norm", "value"], float] | None = None
    optimizer: Callable[[Iterable[Any], float], Optimizer] = sgd
    scheduler: MakeScheduler = constant
    interval: Literal["step", "epoch"] = "epoch"
    tolerance: float = 1e-9

    def window(self, epoch: int) -> int:
        """Batches to a step in an epoch."""
        return self.accumulate[max(first for first in self.accumulate if first <= epoch)]

    @property
    def plateau(self) -> bool:
        """Whether the scheduler waits for the loss of the epoch."""
        return "plateau" in getattr(self.scheduler, "__name__", "")

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return torch.float64 if self.precision == "64-true" else torch.float32

    @property
    def autocast(self) -> torch.dtype | None:
        """Type of the products, where it is another one."""
        return {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(self.precision)

    def scaler(self) -> torch.amp.GradScaler:
        """A gradient scaler; it does nothing but under 16-mixed."""
        return torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3, enabled=self.precision == "16-mixed")

    def clip(self, parameters: Iterable[nn.Parameter]) -> None:
        """Clip gradients."""
        if self.clipping is not None:
            kind, limit = self.clipping
            limiter = nn.utils.clip_grad_norm_ if kind == "norm" else nn.utils.clip_grad_value_
            limiter(parameters, limit)

    def trainer_settings(self) -> dict[str, Any]:
        """The same for a trainer."""
        settings: dict[str, Any] = {"precision": self.precision}
        if self.precision == "16-mixed":
            # On a CPU Lightning does without a scaler, unless it is given one.
            settings = {"plugins": [MixedPrecision("16-mixed", "cpu", self.scaler())]}
        if self.clipping is not None:
            settings |= {"gradient_clip_algorithm": self.clipping[0], "gradient_clip_val": self.clipping[1]}
        return settings

    def callbacks(self) -> list[Callback]:
        """Callbacks that the trainer needs for it."""
        return [GradientAccumulationScheduler(dict(self.accumulate))] if self.accumulate != {0: 1} else []

    def configured(self, module: Any) -> dict[str, Any]:
        """What ``configure_optimizers`` of a module returns."""
        trainer = module.trainer
        optimizer = self.optimizer(list(module.parameters()), module.lr)
        # Lightning cannot tell the number of steps where the accumulation changes.
        steps = trainer.estimated_stepping_batches if self.interval == "step" else 0
        scheduler = self.scheduler(optimizer, module.lr, steps, trainer.max_epochs)
        config = {"scheduler": scheduler, "interval": self.interval, "monitor": "train_loss"}
        return {"optimizer": optimizer, "lr_scheduler": config}
