"""Single watched runs of a model, and how the index of a channel is written in bits and read again."""

from __future__ import annotations

import math
from ast import literal_eval
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import seed_everything_inside
from physprune_pl.networks.names import named_tensors
from physprune_pl.networks.nested import tensors_in
from physprune_pl.networks.saved_state import SavedState
from physprune_pl.probing.flow.flow import Flow
from physprune_pl.probing.flow.junctions import Junctions
from physprune_pl.probing.flow.norms import Walls
from physprune_pl.probing.foreign_operations import ForeignOperations
from physprune_pl.probing.mixing.mixing import Crossings
from physprune_pl.probing.mixing.replay import Replay
from physprune_pl.probing.probe import Probe, SeenEnough
from physprune_pl.probing.sizes.widths import Asked
from physprune_pl.probing.watching.codes import Codes, decode, masks_of, word_length
from physprune_pl.probing.watching.decisions import BRANCH, Decisions
from physprune_pl.probing.watching.input_masks import InputMasks
from physprune_pl.probing.watching.observations import Family, Observation
from physprune_pl.probing.watching.tainting import ModulePath, has_nan, taint
from physprune_pl.tools.user_code import line_of_error

_SEED = 20

Masks = Mapping[Family, Tensor]
"""Which channels of which families are NaN."""


@dataclass(frozen=True)
class Run:
    """One watched run: the probe's records and whether NaN reached what the model returns."""

    probe: Probe
    returned: bool

    @property
    def seen(self) -> list[Observation]:
        """Observations in call order."""
        return self.probe.observations

    @cached_property
    def hits(self) -> list[int]:
        """Places of the observations that met NaN: a source reaches few of them."""
        ends = np.cumsum([len(seen.pattern) for seen in self.seen])
        met = np.flatnonzero(torch.cat([seen.pattern for seen in self.seen]).numpy()) if self.seen else ends
        places: list[int] = np.unique(np.searchsorted(ends, met, side="right")).tolist()
        return places

    @cached_property
    def reached(self) -> int:
        """The same as bits; one more for what the model returns."""
        return sum(1 << place for place in self.hits) | int(self.returned) << len(self.seen)


class PartOfRun(Run):
    """What one of several families has done that were tainted in one run, as they reach nothing together.

    Args:
        run: the run.
        region: bits of the places that the family may reach, the last of them what the model returns.
    """

    def __init__(self, run: Run, region: int) -> None:
        rest, places = run.reached & region, []
        super().__init__(run.probe, bool(rest >> len(run.seen)))
        while rest:
            lowest = rest & -rest
            places.append(lowest.bit_length() - 1)
            rest ^= lowest
        self.__dict__["hits"] = places[: len(places) - self.returned]


class Runner:
    """Runs a model under a probe, always with the same random numbers and the same buffers.

    Args:
        model: the model.
        example: its inputs.
        path: names the running module.
        saved: puts the model back after every run.
        mode: keeps apart what has no name of its own; None: the mode that the model is in.

    Attributes:
        walls: which statistics of the model are over channels.
        asked: which axes to look at because their sizes are asked of others.
        decisions: masks and indices that the model chose in the first run.
        foreign: None before the first run; then whether any met operations of other libraries: NaN is kept from them.
        sums: which sums of the model are sources of their own.
        refusal: what the last run did that took another way because of a NaN.
    """

    def __init__(
        self, model: nn.Module, example: Example, path: ModulePath, saved: SavedState, mode: str | None = None
    ) -> None:
        self.model, self.example, self.path, self.saved, self.mode = model, example, path, saved, mode
        self.tensors = {name: one for name, one in named_tensors(model).items() if name not in example.others}
        self.names = {id(tensor): name for name, tensor in self.tensors.items()}
        self.replay, self.walls, self.asked, self.decisions = Replay(), Walls(), Asked(), Decisions()
        self.sums = Junctions()
        self.foreign: bool | None = None
        self.refusal = ""

    def run(
        self,
        taints: Masks | None = None,
        example: Example | None = None,
        tainted: Collection[str] = (),
        masks: AbstractContextManager[object] | None = None,
        leaking: Collection[int] = (),
        stopping: bool = False,
        flow: Flow | None = None,
        last: float = math.inf,
        crossings: Crossings | None = None,
    ) -> Run:
        """Run once with the given sources tainted; what leaking statistics put out is NaN.

        Channels end at the sums that are sources of their own if the run is a stopping one. Behind the last place of
        an observation that counts the run ends, and does not tell whether NaN reaches what the model returns.
        """
        seed_everything_inside(_SEED)
        mode = self.mode or ("train" if self.model.training else "eval")
        known = (self.walls, leaking, self.asked, self.decisions, self.sums, stopping, flow, last)
        given = (self.names, self.path, taints or {}, mode, self.replay, tainted, *known)
        probe = Probe(*given, crossings or Crossings())
        guard, output = ForeignOperations(probe), None
        try:
            with probe, masks or nullcontext(), guard if self.foreign is not False else nullcontext():
                output = (example or self.example).copy().run(self.model)
        except (SeenEnough, Exception):  # a model may make an error of its own of what ends a run
            if not probe.over:
                raise
            self.path.start_again()
        finally:
            self.replay.start_again()
            self.decisions.start_again()
        if flow is not None:
            flow.end(output)
        self.foreign = self.foreign or guard.met
        returned = any(has_nan(tensor) for tensor in tensors_in(output))
        self.saved.restore()
        return Run(probe, returned)

    def attempt(self, run: Callable[[], Run], clean: Run) -> Run | None:
        """Run; None if the model raised or took another way than in the clean run because of a NaN."""
        try:
            result = run()
        except Exception as error:  # a model may refuse NaN in any way it likes; the caller keeps the source whole
            self.saved.restore()
            self.refusal = f"{type(error).__name__} at {line_of_error(error) or 'an operation'}"
            return None
        made, whole = result.probe.sequence, clean.probe.sequence
        if made == (whole[: len(made)] if result.probe.over else whole):
            # Where nothing arrives any more there is what a run without taint sees.
            result.seen.extend(clean.seen[len(result.seen) :])
            return result
        self.refusal = _parting(clean.probe.sequence, result.probe.sequence)
        return None

    def coded(
        self,
        run: Callable[[Masks], Run],
        codes: Mapping[Family, Tensor],
        clean: Run,
        done: Sequence[Run] = (),
    ) -> Codes | None:
        """Taint families by their entries' codes, written in words; None where a run took another way.

        What has been done already are the first of these runs.
        """
        length = max((word_length(int(code.max()) + 1) for code in codes.values()), default=0)
        written = {family: masks_of(code, length) for family, code in codes.items()}
        runs = list(done)
        for place in range(len(done), length):
            masks = {family: one[place] for family, one in written.items()}
            attempt = self.attempt(partial(run, masks), clean)
            if attempt is None:
                return None
            runs.append(attempt)
        return [decode([r.seen[i].pattern for r in runs]) for i in range(len(clean.seen))] if runs else None

    def run_tainted_tensors(self, masks: Masks, last: float = math.inf) -> Run:
        """Run once with NaN inside parameters or buffers themselves, to the next sums that are sources."""
        values = {name: self.tensors[name].data for name, _ in masks}
        try:
            for (name, dim), mask in masks.items():
                self.tensors[name].data = taint(values[name], dim, mask)
            return self.run(tainted=frozenset(values), stopping=bool(self.sums.axes), last=last)
        finally:
            for name, value in values.items():
                self.tensors[name].data = value

    def run_tainted_input(self, masks: AbstractContextManager[object] | None = None) -> Run:
        """Run once with every floating-point input NaN."""
        nan = self.example.map(lambda x: torch.full_like(x, float("nan")) if x.is_floating_point() else x)
        return self.run(example=nan, masks=masks)

    def run_gated_input(self, sources: Masks) -> Run:
        """Run with every floating-point input NaN, but for what masks the given channels."""
        masks = InputMasks()
        self.run(sources, masks=masks)
        masks.start_again()
        return self.run_tainted_input(masks)


def contested(runs: Sequence[Run | None], clean: Run) -> list[Tensor]:
    """Return for every observation which slots more than one of the runs reach; all where a run is missing."""
    if any(run is None for run in runs):
        return [torch.ones_like(seen.pattern) for seen in clean.seen]
    reaching: dict[int, list[Tensor]] = {}
    for run in filter(None, runs):
        for place in run.hits:
            reaching.setdefault(place, []).append(run.seen[place].pattern)
    return [
        torch.stack(reaching[place]).sum(0) > 1 if len(reaching.get(place, ())) > 1 else torch.zeros_like(seen.pattern)
        for place, seen in enumerate(clean.seen)
    ]


def _parting(clean: Sequence[str], other: Sequence[str]) -> str:
    """Say where two runs part."""
    parts = next(((one, two) for one, two in zip(clean, other, strict=False) if one != two), ("its end", "going on"))
    return parts[1] if parts[1].startswith(BRANCH) else f"{_step(parts[1])} in place of {_step(parts[0])}"


def _step(entry: str) -> str:
    """Return one step of a run in words: an operation, or where something is met.

    >>> _step("consumer ('encoder.fc.weight', 1)"), _step("opaque ('encoder.pool#2', 0)"), _step("norm ('norm 3', -1)")
    ('a call in encoder.fc', 'a call in encoder.pool', 'a norm')
    >>> _step(f"opaque {('my own forward#1', 0)}")
    'a call in my own forward'
    """
    kind, _, family = entry.partition(" (")
    if not family:
        return "reading of an attribute" if entry == "__get__" else entry
    name = str(literal_eval(f"({family}")[0]).partition("#")[0]
    if kind == "opaque":
        return f"a call in {name}"
    return f"a {kind}" if " " in name else f"a call in {name.rpartition('.')[0] or name}"


def without_positions(asked: Asked, codes: Codes | None, clean: Run) -> Asked:
    """Return which axes are still to be looked at: not those of which the same channels reach every slot.

    Such are positions: every channel is in each of them.
    """
    sizes = clean.probe.sizes
    families = {family for use in sizes.widths for family in (use.axis, use.family)} - {
        use.family for use in sizes.uses
    }
    idle = {
        seen.family
        for seen, (index, certain) in zip(clean.seen, codes or (), strict=codes is not None)
        if seen.kind == "size"
        and seen.family in families
        and not bool(certain.any())
        and bool((index == index[:1]).all())
    }
    return Asked(asked.axes, idle)
