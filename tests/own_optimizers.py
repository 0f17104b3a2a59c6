"""Small optimizers whose steps and states are of the kinds that published ones have."""

import torch


class Signs(torch.optim.Optimizer):
    """Steps by the sign of a mean of gradients, as Lion does: as far at zero as anywhere."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        loss = _evaluated(closure)
        for group in self.param_groups:
            for one in _with_gradients(group):
                mean = self.state[one].setdefault("mean", torch.zeros_like(one))
                one.sub_(mean.lerp(one.grad, 0.1).sign(), alpha=group["lr"])
                mean.lerp_(one.grad, 0.01)
        return loss


class Averaging(torch.optim.Optimizer):
    """Trains y, between z and x, and evaluates x, the average of z, as schedule-free optimizers do."""

    MIX = 0.9

    def __init__(self, params, lr=0.3):
        super().__init__(params, {"lr": lr, "k": 0, "train_mode": True})

    @torch.no_grad()
    def _move(self, training, weight):
        for group in self.param_groups:
            if group["train_mode"] != training:
                for one in group["params"]:
                    if "z" in self.state[one]:
                        one.lerp_(self.state[one]["z"], weight)
                group["train_mode"] = training

    def train(self):
        self._move(True, 1 - self.MIX)

    def eval(self):
        self._move(False, 1 - 1 / self.MIX)

    @torch.no_grad()
    def step(self, closure=None):
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


class Masters(torch.optim.Optimizer):
    """Trains copies of full precision, and writes the weights anew at every step."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        loss = _evaluated(closure)
        for group in self.param_groups:
            for one in _with_gradients(group):
                master = self.state[one].setdefault("master", one.double())
                master.sub_(one.grad, alpha=group["lr"])
                one.copy_(master)
        return loss


class Perturbed(torch.optim.Optimizer):
    """Steps by the gradient at weights that it has pushed uphill, and starts from where they were, as SAM does."""

    def __init__(self, params, base, rho=0.05, **options):
        super().__init__(params, {"rho": rho, **options})
        self.base = base(self.param_groups, **options)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def first_step(self):
        for group in self.param_groups:
            for one in _with_gradients(group):
                self.state[one]["before"] = one.clone()
                one.add_(one.grad, alpha=group["rho"] / float(one.grad.norm() + 1e-12))

    @torch.no_grad()
    def second_step(self):
        for group in self.param_groups:
            for one in _with_gradients(group):
                one.copy_(self.state[one]["before"])
        self.base.step()

    def step(self, closure=None):
        loss = _evaluated(closure)
        self.first_step()
        _evaluated(closure)
        self.second_step()
        return loss


def _evaluated(closure):
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def _with_gradients(group):
    return [one for one in group["params"] if one.grad is not None]
