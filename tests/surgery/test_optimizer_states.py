"""Whatever an optimizer remembers of a parameter, it follows the cut or is begun anew; the next step works."""

import warnings
from collections import OrderedDict, deque

import pytest
import torch
from torch import nn

from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.optimizer_states import counters_of, cut_states, with_inner
from physprune_pl.surgery.plan import PruningPlan, TensorCut
from physprune_pl.surgery.state_layouts import layouts_of

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


def tensors_of(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_of(item)
    elif isinstance(value, list | tuple | deque):
        for item in value:
            yield from tensors_of(item)


@pytest.mark.parametrize("gather", SLICED)
def test_what_can_be_sliced_is_that_of_the_channels_that_stay(gather):
    model = network()
    optimizer = Gathering(model.parameters(), gather)
    step(model, optimizer)
    before = {one: [part.clone() for part in tensors_of(state)] for one, state in optimizer.state.items()}
    apply_plan(model, plan(), [optimizer])
    kept, cut = torch.tensor(KEEP), 0
    for parameter, state in optimizer.state.items():
        for old, new in zip(before[parameter], tensors_of(state), strict=True):
            if gather is flat and old.dim() == 1 and parameter.dim() == 2:
                shape = (8, 5) if parameter is model[0].weight else (3, 8)
                old, new = old.reshape(shape), new.reshape(parameter.shape)
            for dim in range(old.dim()):
                if old.shape[dim] == 8:
                    old, cut = old.index_select(dim, kept), cut + 1
            assert torch.equal(old, new)
    assert cut
    losses = [step(model, optimizer) for _ in range(5)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("gather", DROPPED)
def test_what_cannot_is_begun_anew_and_said_once(gather):
    model = network()
    optimizer = Gathering(model.parameters(), gather)
    step(model, optimizer)
    untouched = optimizer.state[model[2].bias]
    with pytest.warns(UserWarning, match="Gathering keeps with 3 of the parameters.*begins to gather") as said:
        apply_plan(model, plan(), [optimizer])
    assert len(said) == 1
    assert set(optimizer.state) == {model[2].bias}
    assert optimizer.state[model[2].bias] is untouched
    losses = [step(model, optimizer) for _ in range(5)]
    assert losses[-1] < losses[0]


def square():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8, bias=False), nn.Tanh(), nn.Linear(8, 8, bias=False))


def square_plan():
    cuts = {"0.weight": TensorCut((8, 8), {0: KEEP}), "2.weight": TensorCut((8, 8), {1: KEEP})}
    return PruningPlan(cuts, (), (), (1, 1), (1, 1))


def square_step(model, optimizer):
    loss = model(torch.randn(4, 8)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize(("gather", "sliced"), [(mean, True), (matrices, False), (basis, False), (factored, False)])
def test_where_every_weight_is_square_a_matrix_over_channels_is_told_from_a_mean(gather, sliced):
    model = square()
    optimizer = Gathering(model.parameters(), gather)
    square_step(model, optimizer)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        apply_plan(model, square_plan(), [optimizer])
    assert (len(said) == 0) == sliced
    assert (len(optimizer.state) == 2) == sliced
    square_step(model, optimizer)


def test_other_parameters_tell_how_a_tensor_lies_along_a_square_weight():
    weight, wide = torch.zeros(4, 4), torch.zeros(4, 6)
    states = {weight: {"rows": torch.ones(4)}, wide: {"rows": torch.ones(4)}}
    assert layouts_of(states) == {("rows",): frozenset({("without", 1)})}
    assert layouts_of({weight: states[weight]}) == {("rows",): frozenset({("without", 1), ("without", 2)})}


class Counting(torch.optim.Optimizer):
    """Counts the steps of a group in the group, and makes matrices of weights."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr, "seen": 0})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            group["step"] = group.get("step", 0) + 1
            group["seen"] += 1
            for parameter in group["params"]:
                state = self.state[parameter]
                mean(parameter, parameter.grad, state)
                if group["matrices"]:
                    matrices(parameter, parameter.grad, state)


def test_a_group_whose_steps_are_counted_together_is_begun_anew_together():
    model = network()
    groups = [{"params": [*model[0].parameters()], "matrices": True}, {"params": [*model[2].parameters()]}]
    optimizer = Counting([{"matrices": False, "name": "head", **group} for group in groups])
    for _ in range(3):
        step(model, optimizer)
    with pytest.warns(UserWarning, match="Counting keeps with 2 of"):
        apply_plan(model, plan(), [optimizer])
    first, second = optimizer.param_groups
    assert "step" not in first
    assert first["seen"] == 0
    assert (first["matrices"], first["name"], first["lr"]) == (True, "head", 0.01)
    assert (second["step"], second["seen"]) == (3, 3)
    assert set(optimizer.state) == set(second["params"])
    assert optimizer.state[model[2].weight]["mean"].shape == (3, 4)
    step(model, optimizer)


class Slow(torch.optim.Optimizer):
    """Wraps another optimizer, and keeps slow copies of the weights."""

    def __init__(self, inner):
        self.inner = inner
        super().__init__(inner.param_groups, {})

    @torch.no_grad()
    def step(self, closure=None):
        self.inner.step()
        for group in self.param_groups:
            for parameter in group["params"]:
                slow = self.state[parameter].setdefault("slow", parameter.clone())
                slow.lerp_(parameter, 0.5)


def test_the_states_of_a_wrapper_and_of_what_it_wraps_are_cut():
    model = network()
    optimizer = Slow(torch.optim.Adam(model.parameters(), lr=0.01))
    assert [type(one).__name__ for one in with_inner(optimizer)] == ["Slow", "Adam"]
    step(model, optimizer)
    apply_plan(model, plan(), [optimizer])
    weight = model[0].weight
    assert optimizer.state[weight]["slow"].shape == optimizer.inner.state[weight]["exp_avg"].shape == (4, 5)
    losses = [step(model, optimizer) for _ in range(5)]
    assert losses[-1] < losses[0]


class Sharing(torch.optim.Optimizer):
    """Wraps another optimizer and has its groups and its state for its own, as SAM does."""

    def __init__(self, inner):
        super().__init__(inner.param_groups, {})
        self.inner, self.param_groups, self.state = inner, inner.param_groups, inner.state

    def step(self, closure=None):
        self.inner.step()


def test_a_state_that_wrapper_and_wrapped_share_is_dropped_once():
    model = network()
    optimizer = Sharing(Gathering(model.parameters(), matrices))
    step(model, optimizer)
    with pytest.warns(UserWarning, match="Gathering keeps with 3 of") as said:
        apply_plan(model, plan(), [optimizer])
    assert len(said) == 1
    step(model, optimizer)


@pytest.mark.parametrize(
    ("optimizer", "counters"),
    [
        (torch.optim.AdamW([torch.zeros(1)], lr=0.1), []),
        (torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9), []),
        (Counting([torch.zeros(1)]), ["seen"]),
        (Slow(torch.optim.Adam([torch.zeros(1)], lr=0.1)), []),
    ],
)
def test_counters_are_no_arguments_of_constructors(optimizer, counters):
    assert counters_of(optimizer, optimizer.param_groups[0]) == counters


def test_nothing_changes_before_the_cut():
    weight = nn.Parameter(torch.ones(4))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    weight.grad = torch.arange(4.0)
    optimizer.step()
    change = cut_states([optimizer], {id(weight): TensorCut((4,), {0: (1, 3)})})
    assert optimizer.state[weight]["momentum_buffer"].tolist() == [0.0, 1.0, 2.0, 3.0]
    change()
    assert optimizer.state[weight]["momentum_buffer"].tolist() == [1.0, 3.0]
