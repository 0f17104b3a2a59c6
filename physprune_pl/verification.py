"""The earned check: a group counts only after cuts of it were compared with the masked dense network.

Everything is tried on copies whose parameters and running statistics are drawn anew, because a wrong cut hides behind
a layer scale of 1e-6 or a branch that starts at zero.
"""

from __future__ import annotations

import copy
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from physprune_pl.channels import ChannelGroup, LeftWhole
from physprune_pl.isolation import Example, seed_everything_inside, set_training
from physprune_pl.operations import ACROSS
from physprune_pl.plan import make_plan
from physprune_pl.probing import named_tensors, tensors_in
from physprune_pl.surgery import apply_plan
from physprune_pl.tracing_types import Trace

_DROPOUTS = {
    *(F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout),
    *(torch.dropout, torch.feature_dropout, torch.alpha_dropout, torch.feature_alpha_dropout),
}
_NOISE = {torch.rand_like, torch.randn_like, torch.bernoulli, Tensor.bernoulli}
_TOLERANCE = {torch.float64: 1e-8, torch.float32: 2e-4}

Removal = Mapping[str, Tensor]


class _Comparable(TorchFunctionMode):
    """Makes runs of networks of different widths comparable: no dropout, and noise that is the same everywhere."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DROPOUTS:
            return args[0] if args else kwargs["input"]
        if func in _NOISE:
            return torch.full_like(args[0] if args else kwargs["input"], 0.5)
        return func(*args, **kwargs)


class _KeptNorms(TorchFunctionMode):
    """Lets norms over channels see the kept channels only, as they will after the cut."""

    def __init__(self, removed: Mapping[tuple[int, int], Tensor]) -> None:
        super().__init__()
        self.removed = removed

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        weight = self._weight(func, args, kwargs)
        if weight is None:
            return func(*args, **kwargs)
        data = args[0] if args else kwargs["input"]
        for dim in range(weight.dim()):
            mask = self.removed.get((id(weight), dim))
            if mask is not None:
                return self._without(func, data, dim, mask, (args[1:], kwargs), weight)
        return func(*args, **kwargs)

    def _weight(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
        if func not in ACROSS:
            return None
        return next((v for v in (*args[1:], *kwargs.values()) if isinstance(v, Tensor) and v.dim() > 0), None)

    def _without(
        self,
        func: Callable[..., Any],
        data: Tensor,
        dim: int,
        mask: Tensor,
        rest: tuple[tuple[Any, ...], dict[str, Any]],
        weight: Tensor,
    ) -> Tensor:
        """Compute the norm over the kept entries of one dimension and put the result where they were."""
        keep = (~mask).nonzero().flatten()
        axis = data.dim() - weight.dim() + dim

        def narrow(value: Any) -> Any:
            if isinstance(value, Tensor) and value.shape == weight.shape:
                return value.index_select(dim, keep)
            shape = list(weight.shape)
            if isinstance(value, list | tuple) and list(value) == shape:
                return [len(keep) if place == dim else size for place, size in enumerate(shape)]
            return value

        args = [narrow(value) for value in rest[0]]
        kwargs = {key: narrow(value) for key, value in rest[1].items() if key != "input"}
        short = func(data.index_select(axis, keep), *args, **kwargs)
        return torch.zeros_like(data).index_copy(axis, keep, short)


class Verifier:
    """Compares cut copies of a model with masked ones.

    Args:
        model: the traced model, left untouched.
        example: inputs; their floating-point values are drawn anew.
        trace: what is known so far; the weights of its calls are drawn to keep the size of activations.
    """

    subsets = ("with the first", "with the last", "any", "all but one")

    def __init__(self, model: nn.Module, example: Example, trace: Trace) -> None:
        seed_everything_inside(7)
        weights = {call.weight for call in trace.calls}
        self.base, self.example = _redrawn(model, example.sized(2), weights)
        self.tolerance = _TOLERANCE[next(self.base.parameters()).dtype]
        self.trace = trace

    def verify(self) -> Trace:
        """Return the trace with those groups only whose cut equals the masked network, marked exact or not."""
        groups = self.trace.groups
        structural = self._earn([], list(groups), self._structural)
        exact = self._earn([], [group for group in structural if group.exact], self._exact)
        names = {group.name for group in exact}
        kept = tuple(replace(group, exact=group.name in names) for group in groups if group in structural)
        reason = "a cut changes more than the removed channels (found by comparing with the masked network)"
        lost = tuple(
            LeftWhole(name, reason) for group in groups if group not in structural for name in _producers(group)
        )
        return replace(self.trace, groups=kept, left_whole=(*self.trace.left_whole, *lost))

    def _earn(
        self,
        accepted: list[ChannelGroup],
        candidates: list[ChannelGroup],
        holds: Callable[[Sequence[ChannelGroup]], bool],
    ) -> list[ChannelGroup]:
        """Return accepted plus the candidates that hold beside them, found by bisection."""
        if not candidates or holds([*accepted, *candidates]):
            return [*accepted, *candidates]
        if len(candidates) == 1:
            return accepted
        half = len(candidates) // 2
        return self._earn(self._earn(accepted, candidates[:half], holds), candidates[half:], holds)

    def _structural(self, groups: Sequence[ChannelGroup]) -> bool:
        return all(self._agrees(groups, self._removal(groups, kind), everything=True) for kind in self.subsets)

    def _exact(self, groups: Sequence[ChannelGroup]) -> bool:
        return all(self._agrees(groups, self._removal(groups, kind), everything=False) for kind in self.subsets)

    def _removal(self, groups: Sequence[ChannelGroup], kind: str) -> Removal:
        """Choose channels to remove at random, the same for a group whatever others are tried with it."""
        return {group.name: _choose(group, kind) for group in groups}

    def _agrees(self, groups: Sequence[ChannelGroup], removal: Removal, everything: bool) -> bool:
        trace = replace(self.trace, groups=tuple(groups))
        plan = make_plan(trace, [removal[group.name] for group in groups], (0, 0), (0, 0))
        masked = copy.deepcopy(self.base)
        norms = _zero(masked, groups, removal, everything)
        try:
            cut = apply_plan(copy.deepcopy(self.base), plan)
            return all(self._same_outputs(cut, masked, norms, training) for training in (False, True))
        except Exception:  # whatever a wrongly cut network raises, the answer is that it does not work
            return False

    def _same_outputs(
        self, cut: nn.Module, masked: nn.Module, norms: Mapping[tuple[int, int], Tensor], training: bool
    ) -> bool:
        wanted = self._outputs(masked, training, norms)
        got = self._outputs(cut, training, {})
        return len(wanted) == len(got) and all(map(self._close, got, wanted))

    def _outputs(self, model: nn.Module, training: bool, norms: Mapping[tuple[int, int], Tensor]) -> list[Tensor]:
        seed_everything_inside(11)
        with set_training(model, training), _Comparable(), _KeptNorms(norms):
            return tensors_in(self.example.copy().run(model))

    def _close(self, got: Tensor, wanted: Tensor) -> bool:
        if got.shape != wanted.shape:
            return False
        if not wanted.is_floating_point():
            return bool((got == wanted).all())
        scale = wanted.abs().max().clamp(min=1e-12) if wanted.numel() else torch.ones(())
        error = float((got - wanted).abs().max() / scale) if wanted.numel() else 0.0
        return math.isfinite(error) and error <= self.tolerance


def _producers(group: ChannelGroup) -> list[str]:
    """Return the modules that make a group's channels."""
    filters = [part.name.rpartition(".")[0] or part.name for part in group.slices if part.role == "filter"]
    return list(dict.fromkeys([group.name.partition("#")[0], *filters]))


def _choose(group: ChannelGroup, kind: str) -> Tensor:
    """Choose channels at random: a share between a quarter and three quarters that differs from group to group.

    What rolls or slices shows at the ends: the first channel goes in one subset and stays in another, so does the last.
    """
    generator = torch.Generator().manual_seed(zlib.crc32(f"{group.name} {kind}".encode()))
    share = 0.25 + 0.5 * float(torch.rand((), generator=generator))
    removed = torch.rand(group.size, generator=generator) < share
    if kind == "all but one":
        removed[:] = True
        removed[int(torch.randint(group.size, (), generator=generator))] = False
    elif kind != "any":
        removed[0], removed[-1] = kind == "with the first", kind == "with the last"
    return _leaving_something(group, removed)


def _leaving_something(group: ChannelGroup, removed: Tensor) -> Tensor:
    """Give back one channel of every slice that would lose all of its channels."""
    for part in group.slices:
        owners = torch.tensor(part.channel)
        if bool(removed[owners].all()):
            removed[owners[0]] = False
    return removed


def _zero(
    model: nn.Module, groups: Sequence[ChannelGroup], removal: Removal, everything: bool
) -> dict[tuple[int, int], Tensor]:
    """Zero the slices of removed channels; return what norms over channels must leave out."""
    tensors = named_tensors(model)
    norms = {}
    for group in groups:
        for part in group.slices if everything else group.producing:
            gone = removal[group.name][torch.tensor(part.channel)]
            index = torch.tensor(part.index)[gone]
            tensor = tensors[part.name]
            if part.role != "buffer":
                with torch.no_grad():
                    tensor.index_fill_(part.dim, index.to(tensor.device), 0.0)
            if everything:
                mask = torch.zeros(tensor.shape[part.dim], dtype=torch.bool)
                mask[index] = True
                norms[id(tensor), part.dim] = mask.to(tensor.device)
    return norms


def _redrawn(model: nn.Module, example: Example, mixing_weights: set[str]) -> tuple[nn.Module, Example]:
    """Return a copy with random parameters and inputs, in double precision where the model runs in it."""
    base = copy.deepcopy(model).requires_grad_(False)
    _draw(base, mixing_weights)
    inputs = example.map(lambda x: torch.randn_like(x) if x.is_floating_point() else x)
    precise = copy.deepcopy(base).double()
    doubles = inputs.map(lambda x: x.double() if x.is_floating_point() else x)
    if _runs(precise, doubles):
        return precise, doubles
    return base.float(), inputs.map(lambda x: x.float() if x.is_floating_point() else x)


def _runs(model: nn.Module, example: Example) -> bool:
    with set_training(model, False):
        try:
            example.copy().run(model)
        except Exception:  # a model that insists on another precision is checked in its own
            return False
    return True


def _draw(model: nn.Module, mixing_weights: set[str]) -> None:
    for name, tensor in named_tensors(model).items():
        if not tensor.is_floating_point():
            continue
        if name in mixing_weights and tensor.dim() > 1:
            tensor.normal_(0.0, math.sqrt(2.0 / max(1, tensor[0].numel())))
        elif isinstance(tensor, nn.Parameter) or name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            tensor.uniform_(-0.5, 0.5)
