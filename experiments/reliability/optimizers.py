"""Small optimizers whose steps and states are of the kinds that published ones have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Closure = Callable[[], Any] | None


class Signs(Optimizer):
    """Steps by the sign of a mean of gradients, as Lion does: as far at zero as anywhere."""

    def __init__(self, params: Iterable[Any], lr: float = 0.01) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Closure = None) -> Any:
        """Step."""
        loss = _evaluated(closure)
        for group in self.param_groups:
            for one in _with_gradients(group):
                mean = self.state[one].setdefault("mean", torch.zeros_like(one))
                one.sub_(mean.lerp(one.grad, 0.1).sign(), alpha=group["lr"])
                mean.lerp_(one.grad, 0.01)
        return loss


class Averaging(Optimizer):
    """Trains y, between z and x, and evaluates x, the average of z, as schedule-free optimizers do."""

    MIX = 0.9

    def __init__(self, params: Iterable[Any], lr: float = 0.3) -> None:
        super().__init__(params, {"lr": lr, "k": 0, "train_mode": True})

    @torch.no_grad()
    def _move(self, training: bool, weight: float) -> None:
        for group in self.param_groups:
            if group["train_mode"] != training:
                for one in group["params"]:
                    if "z" in self.state[one]:
                        one.lerp_(self.state[one]["z"], weight)
                group["train_mode"] = training

    def train(self) -> None:
        """Put y into the network."""
        self._move(True, 1 - self.MIX)

    def eval(self) -> None:
        """Put x into the network."""
        self._move(False, 1 - 1 / self.MIX)

    @torch.no_grad()
    def step(self, closure: Closure = None) -> Any:
        """Step."""
        loss = _evaluated(closure)
        for group in self.param_groups:
            assert group["train_mode"], "step in eval mode"
            group["k"] += 1
            share = 1 / group["k"]
            for one in _with_gradients(group):
                z = self.state[one].setdefault("z", one.clone())
                one.lerp_(z, share).add_(one.grad, alpha=group["lr"] * (self.MIX * (1 - share) - 1))
                z.sub_(one.grad, alpha=group["lr"])
        return loss


class Masters(Optimizer):
    """Trains copies of full precision, and writes the weights anew at every step."""

    def __init__(self, params: Iterable[Any], lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Closure = None) -> Any:
        """Step."""
        loss = _evaluated(closure)
        for group in self.param_groups:
            for one in _with_gradients(group):
                master = self.state[one].setdefault("master", one.double())
                master.sub_(one.grad, alpha=group["lr"])
                one.copy_(master)
        return loss


class Perturbed(Optimizer):
    """Steps by the gradient at weights that it has pushed uphill, and starts from where they were, as SAM does."""

    def __init__(
        self, params: Iterable[Any], base: Callable[..., Optimizer], rho: float = 0.05, **options: Any
    ) -> None:
        super().__init__(params, {"rho": rho, **options})
        self.base = base(self.param_groups, **options)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def first_step(self) -> None:
        """Push the weights uphill."""
        for group in self.param_groups:
            for one in _with_gradients(group):
                self.state[one]["before"] = one.clone()
                one.add_(one.grad, alpha=group["rho"] / float(one.grad.norm() + 1e-12))

    @torch.no_grad()
    def second_step(self) -> None:
        """Take the push back, and step by the gradient of there."""
        for group in self.param_groups:
            for one in _with_gradients(group):
                one.copy_(self.state[one]["before"])
        self.base.step()

    def step(self, closure: Closure = None) -> Any:
        """Take both steps."""
        loss = _evaluated(closure)
        self.first_step()
        _evaluated(closure)
        self.second_step()
        return loss


class Orthogonal(Optimizer):
    """Steps by a momentum whose singular values are all made 1, as Muon does; for weights of two dimensions or more."""

    def __init__(self, params: Iterable[Any], lr: float = 0.02, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Closure = None) -> Any:
        """Step."""
        loss = _evaluated(closure)
        for group in self.param_groups:
            for one in _with_gradients(group):
                mean = self.state[one].setdefault("momentum_buffer", torch.zeros_like(one))
                mean.mul_(group["momentum"]).add_(one.grad)
                one.sub_(_orthogonal(mean.flatten(1)).view_as(one), alpha=group["lr"])
        return loss


def _orthogonal(matrix: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    product: Tensor = left @ right
    return product


def _evaluated(closure: Closure) -> Any:
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def _with_gradients(group: Mapping[str, Any]) -> list[Any]:
    return [one for one in group["params"] if one.grad is not None]
