"""An optimizer that gathers what a test wants, a small network that it trains, and a plan that cuts it."""

from collections import OrderedDict, deque

import torch
from torch import nn

from physprune_pl.surgery.plan import PruningPlan, TensorCut

KEEP = (0, 2, 3, 6)


class Gathering(torch.optim.Optimizer):
    """Descends by the gradient, and gathers with it what a function makes of parameter and gradient at every step."""

    def __init__(self, params, gather, lr=0.01):
        self.gather = gather
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                self.gather(parameter, parameter.grad, state)
                parameter.sub_(parameter.grad, alpha=group["lr"])


def mean(parameter, grad, state):
    state["mean"] = 0.9 * state.get("mean", torch.zeros_like(grad)) + grad


def past(parameter, grad, state):
    state.setdefault("past", []).append(grad.clone())
    state["average"] = torch.stack(state["past"]).mean(0)


def recent(parameter, grad, state):
    state.setdefault("recent", deque(maxlen=3)).append(grad.clone())
    assert torch.stack(list(state["recent"])).shape[1:] == grad.shape


def nested(parameter, grad, state):
    inner = state.setdefault("by_kind", OrderedDict(slow={"mean": torch.zeros_like(grad)}, sizes=tuple(grad.shape)))
    inner["slow"]["mean"] += grad
    assert inner["sizes"] == tuple(grad.shape)


def factored(parameter, grad, state):
    if grad.dim() < 2:
        return
    rows, columns = state.setdefault("rows", grad.new_zeros(grad.shape[:-1])), grad.square().sum(-2)
    rows += grad.square().sum(-1)
    state["columns"] = state.get("columns", torch.zeros_like(columns)) + columns
    assert (rows[..., None] * state["columns"][..., None, :]).shape == grad.shape


def factored_with_ones(parameter, grad, state):
    if grad.dim() == 2:
        state["rows"] = state.get("rows", 0.0) + grad.square().sum(-1, keepdim=True)


def flat(parameter, grad, state):
    state["sum"] = state.get("sum", torch.zeros_like(grad.flatten())) + grad.flatten()


SLICED = [mean, past, recent, nested, factored, factored_with_ones, flat]


def matrices(parameter, grad, state):
    """Shampoo: one matrix for each dimension."""
    sides = state.setdefault("sides", [grad.new_zeros(size, size) for size in grad.shape])
    for dim, side in enumerate(sides):
        flattened = grad.movedim(dim, 0).reshape(grad.shape[dim], -1)
        side += flattened @ flattened.T


def basis(parameter, grad, state):
    """SOAP: matrices, and what was computed of them."""
    matrices(parameter, grad, state)
    state["bases"] = [torch.linalg.eigh(side + torch.eye(len(side)))[1] for side in state["sides"]]
    mean(parameter, grad, state)


class Side:
    def __init__(self, grad):
        self.sum = torch.zeros_like(grad)


def objects(parameter, grad, state):
    state.setdefault("side", Side(grad)).sum.add_(grad)


class Packed(torch.Tensor):
    """Knows no operation but how to be stored, as moments of eight bits do."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func.__name__ in ("index_select", "reshape", "__getitem__", "any"):
            raise NotImplementedError(f"Packed: {func.__name__}")
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))


def packed(parameter, grad, state):
    kept = state.setdefault("packed", torch.zeros_like(grad).as_subclass(Packed))
    kept.as_subclass(torch.Tensor).add_(grad)


def blocks(parameter, grad, state):
    """Bytes of the shape of the parameter, with one scale for a block of them."""
    state["bytes"] = torch.zeros(grad.shape, dtype=torch.uint8)
    state["scales"] = torch.ones(-(-grad.numel() // 5))
    assert len(state["scales"]) * 5 >= grad.numel()


DROPPED = [matrices, basis, objects, packed, blocks]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def plan():
    tensors = {"0.weight": TensorCut((8, 5), {0: KEEP}), "0.bias": TensorCut((8,), {0: KEEP})}
    return PruningPlan({**tensors, "2.weight": TensorCut((3, 8), {1: KEEP})}, (), (), (1, 1), (1, 1))


def step(model, optimizer):
    loss = model(torch.linspace(-1, 1, 20).reshape(4, 5)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
