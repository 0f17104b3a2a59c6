"""Plans at random for random networks: what is asked for, and what a plan must then obey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from experiments.structures.oracle import draw_removed
from physprune_pl.planning import plan_removal
from physprune_pl.structure import ChannelGroup, Trace
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import TOLERANCE, Target, TargetError, TargetKind
from physprune_pl.targets.widths import Widths


@dataclass(frozen=True)
class Wish:
    """What a plan is asked for.

    Attributes:
        kind: of the target, or ``"random"``: that share of every group, whatever it costs.
        share: that is kept, or that goes.
        seed: of strengths and choices.
        round_to: see ``Widths``.
        limits: smallest and largest share that every group keeps.
        ignored: place of the module that is not pruned among those with parameters; None ignores nothing.
    """

    kind: Literal["random", "macs", "params", "threshold"] = "random"
    share: float = 0.5
    seed: int = 0
    round_to: int | None = None
    limits: tuple[float | None, float | None] = (None, None)
    ignored: int | None = None

    def ignore(self, model: nn.Module) -> tuple[str, ...]:
        """Name the module that is not pruned."""
        if self.ignored is None:
            return ()
        names = [name for name, module in model.named_modules() if name and any(True for _ in module.parameters())]
        return (names[self.ignored % len(names)],)

    def widths(self, trace: Trace) -> Widths:
        """Say what the groups may keep; a network without groups has none that a pattern could stand for."""
        low, high = ({".*": share} if share and trace.groups else {} for share in self.limits)
        return Widths(round_to=self.round_to, min_share=low, max_share=high)

    def strengths(self, trace: Trace) -> list[Tensor]:
        """Draw the strengths that the channels are ranked by."""
        generator = torch.Generator().manual_seed(self.seed)
        return [torch.rand(group.size, generator=generator) for group in trace.groups]

    def plan(self, trace: Trace) -> tuple[PruningPlan, list[Tensor]] | None:
        """Make the plan and the channels that it removes; None where the limits allow none."""
        if self.kind == "random":
            removed = draw_removed(trace, self.share, self.seed)
            return plan_removal(Chooser(trace, Target("macs", 1.0)), removed), removed
        target = Target(cast(TargetKind, self.kind), self.share)
        if not all(self._possible(group, trace) for group in trace.groups):
            with pytest.raises(ValueError, match="no number of channels"):
                Chooser(trace, target, self.widths(trace))
            return None
        strengths = self.strengths(trace)
        chooser, removed = self._choose(Chooser(trace, target, self.widths(trace)), strengths)
        plan = plan_removal(chooser, removed)
        self._check(plan, chooser.target, strengths)
        return plan, removed

    def _choose(self, chooser: Chooser, strengths: list[Tensor]) -> tuple[Chooser, list[Tensor]]:
        """Choose what goes; where the target is out of reach, the closest one that the refusal names must not be."""
        try:
            return chooser, chooser.choose(strengths)
        except TargetError as error:
            reachable = Chooser(chooser.trace, Target(chooser.target.kind, error.closest), chooser.widths)
            return reachable, reachable.choose(strengths)

    def _possible(self, group: ChannelGroup, trace: Trace) -> bool:
        """Whether some number of channels obeys; a channel must stay of every tensor that some of them fill."""
        filling = {part.channel for part in group.slices if len(part.index) == trace.shapes[part.name][part.dim]}
        parts = {frozenset(channels) for channels in filling if len(set(channels)) < group.size}
        return any(self._obeys(kept, group.size) for kept in range(max(group.least, len(parts)), group.size + 1))

    def _obeys(self, kept: int, size: int) -> bool:
        low, high = self.limits
        rounded = kept == size or kept % (self.round_to or 1) == 0
        return rounded and (low or 0) * size - 1e-9 <= kept <= (high or 1) * size + 1e-9

    def _check(self, plan: PruningPlan, target: Target, strengths: list[Tensor]) -> None:
        assert all(self._obeys(cut.after, cut.before) for cut in plan.groups)
        if target.kind != "threshold":
            dense, pruned = getattr(plan, target.kind)
            assert abs(pruned - target.share * dense) <= TOLERANCE * target.share * dense + 1e-6
        elif self.limits[1] is None:
            pairs = zip(plan.groups, strengths, strict=True)
            assert all((drawn[list(cut.removed)] < target.share * drawn.max()).all() for cut, drawn in pairs)


shares = st.sampled_from((0.25, 0.5, 0.75))
wishes = st.builds(
    Wish,
    kind=st.sampled_from(("macs", "random", "params", "random", "threshold")),
    share=shares,
    seed=st.integers(0, 9),
    round_to=st.sampled_from((None, None, 2, 3)),
    limits=st.tuples(st.sampled_from((None, 0.25, 0.5)), st.sampled_from((None, None, 0.5, 0.75))),
    ignored=st.sampled_from((None, None, None, None, 0, 2, 3, 5)),
)
