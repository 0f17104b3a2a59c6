"""The earned check: a group counts only after cuts of it were compared with the masked dense network.

Everything is tried on copies whose parameters and running statistics are drawn anew, because a wrong cut hides behind
a layer scale of 1e-6 or a branch that starts at zero.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import seed_everything_inside, without_autocast
from physprune_pl.networks.names import named_tensors, plain
from physprune_pl.structure import ChannelGroup, LeftWhole, Reasons, Trace
from physprune_pl.surgery.plan import make_plan
from physprune_pl.tools.progress import steps
from physprune_pl.tracing.checking.comparable import Comparable
from physprune_pl.tracing.checking.failures import CHANGES, differs, failed
from physprune_pl.tracing.checking.masking import Masks
from physprune_pl.tracing.checking.redrawn import Redrawn, put_out, redrawn

# Deep networks make 1e-9 of what rounding leaves; a wrong cut changes the next layer by a hundredth and more.
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 2e-4}
Names = frozenset[str]
_NONE: Names = frozenset()


def verified(model: nn.Module, example: Example, trace: Trace, doubts: Reasons | None = None) -> Trace:
    """Return a trace with the groups only whose cut holds, compared in exact arithmetic where the model runs in it.

    Args:
        model: the traced model, left untouched.
        example: its inputs.
        trace: what is known so far.
        doubts: name of a group -> the reason if its cut changes something, where that is known.
    """
    with without_autocast():
        verifier = Verifier(model, example, trace, doubts)
        if verifier.evaluates:
            return verifier.verify()
    return Verifier(model, example, trace, doubts).verify()


class Verifier:
    """Compares cut copies of a model with masked ones.

    Args:
        model: the traced model, left untouched.
        example: inputs; their floating-point values are drawn anew.
        trace: what is known so far; the weights of its calls are drawn to keep the size of activations.
        doubts: name of a group -> the reason if its cut changes something, where that is known.

    Attributes:
        causes: name of a group that did not hold -> what a cut of it did.
    """

    subsets = ("with the first", "with the last", "any", "all but one", "as it is")
    in_train_mode = ("with the last", "any")
    in_a_crowd = ("with the last",)

    def __init__(self, model: nn.Module, example: Example, trace: Trace, doubts: Reasons | None = None) -> None:
        self.doubts = doubts or {}
        seed_everything_inside(7)
        weights = {call.weight for call in trace.calls}
        # A model may treat larger batches otherwise, so one subset is tried with as many samples as were given, to 4.
        self.base, evaluated, known = redrawn(model, example.sized(min(max(2, example.batch), 4)), weights)
        self.crowd, self.evaluates, self.model = self.base.example, evaluated is not None, model
        self.tolerance, self.double = _TOLERANCE[self.base.dtype], False
        seen = Comparable({})
        trained = self.base.dense(seen, training=True, known=known)
        self.trains = trained is not None and not _identical(trained, evaluated)
        if seen.shortened and self.base.dtype is torch.float64:
            self.double = self.base.dense(Comparable({}, double=True), training=False) is not None
        self.trace = trace
        self.across = {call.weight for call in trace.calls if call.across is not None}
        self.causes: dict[str, str] = {}
        self._cause = ""

    def verify(self) -> Trace:
        """Return the trace with those groups only whose cut equals the masked network, marked exact or not."""
        groups = list(self.trace.groups)
        claimed = frozenset(group.name for group in groups if group.exact)
        if self._hold(groups, claimed, _NONE):
            return self.trace
        structural = self._earn([], groups, partial(self._hold, claimed=_NONE))
        hopeful = [group for group in structural if group.exact]
        exact = {group.name for group in self._earn([], hopeful, partial(self._hold, claimed=claimed))}
        kept = tuple(replace(group, exact=group.name in exact) for group in groups if group in structural)
        lost = tuple(
            LeftWhole(name, self.causes[group.name])
            for group in groups
            if group not in structural
            for name in _producers(group)
        )
        return replace(self.trace, groups=kept, left_whole=_together((*self.trace.left_whole, *lost)))

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
            known = self.doubts.get(candidates[0].name) if self._cause.startswith(CHANGES) else None
            self.causes.setdefault(candidates[0].name, known or self._cause)
            return accepted
        half = len(candidates) // 2
        return self._earn(self._earn(accepted, candidates[:half], holds), candidates[half:], holds)

    def _hold(self, groups: Sequence[ChannelGroup], claimed: Names, also: Names | None = None) -> bool:
        """Return whether cuts equal masked networks.

        Args:
            groups: the groups.
            claimed: names of those of which only the producing slices are zeroed, of all others all.
            also: the same for one more comparison.
        """
        return all(
            self._agrees(groups, kind, [claimed] if also is None or kind != "any" else [claimed, also])
            for kind in steps("checking the cut", self.subsets)
        )

    def _agrees(self, groups: Sequence[ChannelGroup], kind: str, claims: Sequence[Names]) -> bool:
        """Return whether a cut equals the masked network: in all modes by the first claim, in eval mode by all."""
        # The same channels of a group go whatever others are tried with it.
        removal = {group.name: _choose(group, kind) for group in groups}
        # Thresholds may be set for the weights as they are, so one subset is tried on those.
        base = self.base.with_parameters_of(self.model) if kind == "as it is" else self.base
        plan = make_plan(replace(self.trace, groups=tuple(groups)), list(removal.values()), (0, 0), (0, 0))
        masks = Masks(groups, removal, plan)
        modes = (False, True) if self.trains and kind in self.in_train_mode else (False,)
        try:
            cut = base.cut(plan)
            return all(
                self._same(
                    base, cut, masks, claims[:1] if training else claims, self._example(kind, training), training
                )
                for training in modes
            )
        except Exception as error:  # whatever a wrongly cut network raises, the answer is that it does not work
            self._cause = failed(error)
            return False

    def _example(self, kind: str, training: bool) -> Example:
        # A run in train mode, which batch statistics need several samples for, tries larger batches already.
        crowded = training or (kind in self.in_a_crowd and not self.trains)
        return self.crowd if crowded else self.crowd.sized(1)

    def _same(
        self, base: Redrawn, cut: nn.Module, masks: Masks, claims: Iterable[Names], example: Example, training: bool
    ) -> bool:
        """Return whether a cut network puts out what masked ones do."""
        seen = Comparable({}, double=self.double)
        with base.restored(), base.weights_of(cut):
            got = put_out(cut, example, training, seen)
        for claim in claims:
            wanted = base.masked(masks, claim, example, training, self.double)
            outputs = len(got) - len(seen.weights)
            alike = [len(got) == len(wanted), *map(self._close, got[:outputs], wanted)]
            alike += map(self._close_inside, got[outputs:], wanted[outputs:], self._crossed(cut, seen.weights))
            if not all(alike):
                self._cause = differs(cut, seen.weights, alike[len(alike) - len(seen.weights) :])
                return False
        return True

    def _crossed(self, cut: nn.Module, weights: Sequence[Tensor]) -> list[bool]:
        """Return which calls with these weights channels pass along another axis than the one that is mixed."""
        names = {id(tensor): name for name, tensor in named_tensors(cut).items()} if self.across else {}
        return [names.get(id(weight)) in self.across for weight in weights]

    def _close_inside(self, got: Tensor, wanted: Tensor, crossed: bool) -> bool:
        """Compare what a call puts out; of one that channels pass, it shows behind the call alone."""
        return (crossed and got.dim() == wanted.dim() and got.shape != wanted.shape) or self._close(got, wanted)

    def _close(self, got: Tensor, wanted: Tensor) -> bool:
        if got.shape != wanted.shape:
            return False
        if not wanted.is_floating_point():
            return bool((got == wanted).all())
        scale = wanted.abs().max().clamp(min=1e-12) if wanted.numel() else torch.ones(())
        error = float((got - wanted).abs().max() / scale) if wanted.numel() else 0.0
        return math.isfinite(error) and error <= self.tolerance


def _identical(one: Sequence[Tensor], other: Sequence[Tensor] | None) -> bool:
    """Return whether two runs have put out the same: then both modes compute the same."""
    return other is not None and len(one) == len(other) and all(map(torch.equal, one, other))


def _together(left_whole: Sequence[LeftWhole]) -> tuple[LeftWhole, ...]:
    """Return every module once: what keeps some of its channels, then what keeps the others."""
    reasons: dict[str, dict[str, None]] = {}
    for left in left_whole:
        reasons.setdefault(left.name, {})[left.reason] = None
    return tuple(LeftWhole(name, "; the others: ".join(found)) for name, found in reasons.items())


def _producers(group: ChannelGroup) -> list[str]:
    """Return the modules that make a group's channels."""
    filters = [part.name.rpartition(".")[0] or part.name for part in group.slices if part.role == "filter"]
    return list(dict.fromkeys(map(plain, [group.name.partition("#")[0], *filters])))


def _choose(group: ChannelGroup, kind: str) -> Tensor:
    """Choose channels at random: a share between a quarter and three quarters that differs from group to group.

    What rolls shows at the ends: the first channel goes in one subset and stays in another, so does the last. What
    takes a fixed share of the channels shows when one half alone loses some.
    """
    generator = torch.Generator().manual_seed(zlib.crc32(f"{group.name} {kind}".encode()))
    share = 0.25 + 0.5 * float(torch.rand((), generator=generator))
    removed = torch.rand(group.size, generator=generator) < share
    anyone = int(torch.randint(group.size, (), generator=generator))
    if kind == "all but one":
        removed[:] = True
        removed[anyone] = False
    elif kind.startswith("any"):
        removed[anyone] |= not bool(removed.any())
    elif kind == "with the first":
        removed[0], removed[group.size // 2 :] = True, False
    elif kind == "with the last":
        removed[: (group.size + 1) // 2], removed[-1] = False, True
    else:
        removed[0], removed[-1] = False, True
    return group.leaving_one(removed)
