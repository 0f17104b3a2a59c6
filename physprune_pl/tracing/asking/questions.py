"""Asking a model where entries of its tensors go: all of one family, some of them, several families at once by bits."""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from operator import or_

import torch
from torch import Tensor

from physprune_pl.probing.flow.flow import Flow
from physprune_pl.probing.mixing.mixing import Crossings
from physprune_pl.probing.runner import Masks, PartOfRun, Run, Runner
from physprune_pl.probing.watching.codes import Codes, Slots, decode, sure
from physprune_pl.probing.watching.observations import Family, Kind
from physprune_pl.tools.progress import steps
from physprune_pl.tracing.evidence.gates import Reach


@dataclass(frozen=True)
class Answer:
    """Where the entries of one family go.

    Attributes:
        family: the family.
        size: number of its entries.
        alone: the run with all of them NaN: *whose* entries reach a slot.
        codes: *which* of them does.
    """

    family: Family
    size: int
    alone: Run
    codes: Codes

    def sure(self, place: int) -> Tensor:
        """Return which slots of an observation are reached by one entry and no other, if they are reached at all."""
        return sure(self.codes[place], self.size)

    def unclear(self, kinds: Collection[Kind]) -> dict[int, Tensor]:
        """Return by place of an observation of these kinds the slots that several entries reach, if there are any."""
        asked = [place for place in self.alone.hits if self.alone.seen[place].kind in kinds]
        found = {place: self.alone.seen[place].pattern & ~self.sure(place) for place in asked}
        return {place: slots for place, slots in found.items() if bool(slots.any())}

    def alike(self, place: int, slots: Tensor) -> bool:
        """Return whether each of several slots of an observation is reached by the same entries: they share no axis."""
        index = self.codes[place][0][slots]
        return len(index) > 1 and bool((index == index[:1]).all())

    @property
    def mixed_at_heads(self) -> bool:
        """Whether entries reach heads, some of them mixed: pairs are turned, or they are divided by their norm."""
        heads = [place for place in self.alone.hits if self.alone.seen[place].kind == "head"]
        return not all(bool(self.sure(place)[self.alone.seen[place].pattern].all()) for place in heads)

    def reach(self, place: int) -> Reach:
        """Return what each entry reaches of an observation, without the slots that several of them reach."""
        seen = self.alone.seen[place]
        slots = (seen.pattern & self.sure(place)).nonzero().flatten()
        index = self.codes[place][0][slots]
        return Reach(self.family, index, seen.family, slots, (self.alone.probe.mode, place))


@dataclass(frozen=True)
class Questions:
    """Questions about one sort of entries: channels that calls make, or entries of tensors that no call reads by rule.

    What the model takes another way for, because of a NaN, has no answer: None.

    Attributes:
        runner: runs the model.
        clean: the run without taint.
        run: runs the model once with the masked entries NaN, as far as to a place of an observation.
        sizes: returns the number of entries of a family.
        kinds: observations whose slots must each tell one entry.
        refusals: family without an answer -> what the model did.
        ends: family -> the last place of an observation that it reaches, of those of which that is known: some of its
            entries reach no further than all of them.
    """

    runner: Runner
    clean: Run
    run: Callable[..., Run]
    sizes: Callable[[Family], int]
    kinds: Collection[Kind]
    refusals: dict[Family, str] = field(default_factory=dict)
    ends: dict[Family, float] = field(default_factory=dict)

    def bound(self, alone: Mapping[Family, Run | None]) -> None:
        """Note how far families reach, given the run with all of each NaN."""
        self.ends.update({family: max(run.hits, default=-1) for family, run in alone.items() if run is not None})

    def _run(self, masks: Masks) -> Run:
        return self.run(masks, max((self.ends.get(family, math.inf) for family in masks), default=math.inf))

    def tainted(self, masks: Masks) -> Run | None:
        """Taint the masked entries of families."""
        return self.runner.attempt(partial(self._run, masks), self.clean)

    def alone(self, family: Family) -> Run | None:
        """Taint a family whole."""
        return self.whole([family])

    def whole(self, families: Sequence[Family]) -> Run | None:
        """Taint several families whole, in one run."""
        masks = {family: torch.ones(self.sizes(family), dtype=torch.bool) for family in families}
        return self.tainted(masks)

    def alone_in_classes(
        self, flow: Flow, classes: Sequence[Sequence[Family]]
    ) -> tuple[dict[Family, Run | None], dict[Family, str]]:
        """Taint every family whole: those in one run that may reach nothing together.

        Args:
            flow: how far each family may reach.
            classes: families that may reach nothing together.

        Returns:
            The run of every family as far as it tells of that one, None if the model took another way, and then what
            it did.
        """
        alone: dict[Family, Run | None] = {}
        refusals: dict[Family, str] = {}
        singly = [members[0] for members in classes if len(members) == 1]
        for members in steps("looking for coupled channels", [one for one in classes if len(one) > 1]):
            run = self.whole(members)
            regions = {family: flow.regions.get(family, 0) for family in members}
            if run is None or run.reached & ~sum(regions.values()):
                singly += members
            else:
                alone |= {family: PartOfRun(run, region) for family, region in regions.items()}
        for family in steps("looking for coupled channels", singly):
            alone[family] = self.alone(family)
            if alone[family] is None:
                refusals[family] = self.runner.refusal
        self.bound(alone)
        return alone, refusals

    def coded(self, codes: Masks, done: Sequence[Run] = ()) -> Codes | None:
        """Taint families by the bits of their entries' codes; what has been done already are the first of the runs."""
        return self.runner.coded(self._run, codes, self.clean, done)

    def together(self, families: Sequence[Family], done: Sequence[Run] = ()) -> Codes | None:
        """Taint families by the bits of their entries' numbers, all at once."""
        return self.coded({family: torch.arange(self.sizes(family)) for family in families}, done)

    def told(self, families: Sequence[Family]) -> Codes | None:
        """Do what `together` does, but stop after two runs if these show that no entry can be told from the others."""
        masks = {family: torch.arange(self.sizes(family)) % 2 == 1 for family in families}
        odd = self.tainted(masks)
        even = odd and self.tainted({one: ~mask for one, mask in masks.items()})
        if odd is None or even is None:
            return None
        pairs = [(one.pattern, other.pattern) for one, other in zip(odd.seen, even.seen, strict=True)]
        telling = any(bool((one ^ other).any()) for one, other in pairs)
        return self.together(families, [odd, even]) if telling else list(map(decode, pairs))

    def apart(self, family: Family, alone: Run) -> Answer | None:
        """Ask about one family by itself."""
        codes = self.together([family])
        if codes is None:
            self.refusals[family] = self.runner.refusal
        return None if codes is None else Answer(family, self.sizes(family), alone, codes)

    def without(self, masks: Masks) -> tuple[Run | None, Codes | None]:
        """Ask about families with their masked entries clean: all the others in one run, and by their numbers."""
        rest = self.tainted({family: ~mask for family, mask in masks.items()})
        return rest, None if rest is None else self.sparing(masks).together([*masks])

    def sparing(self, masks: Masks) -> Questions:
        """Return questions with the masked entries of families clean in all runs."""
        return replace(self, run=lambda coded, last: self.run(_less(coded, masks), last))

    def following(self, crossings: Crossings) -> Questions:
        """Return questions whose channels are followed through calls that they pass along another axis."""
        return replace(self, run=lambda masks, _: self.run(masks, math.inf, crossings), ends={})

    def answer(self, family: Family, alone: Run, together: Codes | None, contested: Sequence[Tensor]) -> Answer | None:
        """Return what one family has told, see `answers`."""
        return self.answers({family: alone}, together, contested)[family]

    def answers(
        self, alone: Mapping[Family, Run], together: Codes | None, contested: Sequence[Tensor]
    ) -> dict[Family, Answer | None]:
        """Return what families have told together with others, or by themselves where that may tell more.

        Args:
            alone: family -> the run with all of it NaN.
            together: what all families told at once.
            contested: for every observation the slots that several of them reach.
        """
        if together is None:
            return {family: self.apart(family, run) for family, run in alone.items()}
        told = [Answer(family, self.sizes(family), run, together) for family, run in alone.items()]
        found: dict[Family, Answer | None] = {answer.family: answer for answer in told}
        disturbed = {answer.family: slots for answer in told if (slots := self._disturbed(answer, contested))}
        for members in strangers([answer for answer in told if answer.family in disturbed]):
            found |= self._cleared(members, disturbed)
        return found

    def _disturbed(self, answer: Answer, contested: Sequence[Tensor]) -> Slots:
        """Return the slots that are unclear and that other families reach too: those may be to blame."""
        kinds = {*self.kinds, "head"} if answer.mixed_at_heads else self.kinds
        unclear = {place: slots & contested[place] for place, slots in answer.unclear(kinds).items()}
        return {place: slots for place, slots in unclear.items() if bool(slots.any())}

    def _cleared(self, answers: Sequence[Answer], slots: Mapping[Family, Slots]) -> Mapping[Family, Answer | None]:
        """Ask families that reach nothing together by themselves, unless their even and odd entries alike reach slots.

        No further bit can tell entries apart then. Such slots are the tokens of an image: every channel reaches every
        one of them.
        """
        even = {answer.family: torch.arange(answer.size) % 2 == 0 for answer in answers}
        reached = [answer.alone.reached for answer in answers]
        done: list[Run] = []
        for masks in ({family: ~mask for family, mask in even.items()}, even):
            run = self.tainted(masks)
            if run is None or run.reached & ~reduce(or_, reached):
                return self._cleared_singly(answers, slots)
            done.append(run)
        both = [one.pattern & other.pattern for one, other in zip(done[0].seen, done[1].seen, strict=True)]
        own = {one.family: slots[one.family].items() for one in answers}
        asked = [one for one, few in own.items() if not all(bool(both[place][some].all()) for place, some in few)]
        codes = self.together(asked, done) if asked else []
        if codes is None:
            return self._cleared_singly(answers, slots)
        return {
            one.family: replace(one, codes=codes) if one.family in asked else _alone_at(one, own[one.family], done)
            for one in answers
        }

    def _cleared_singly(
        self, answers: Sequence[Answer], slots: Mapping[Family, Slots]
    ) -> Mapping[Family, Answer | None]:
        """Ask families one by one, which the model has not stood together; what it does not stand has no answer."""
        if len(answers) > 1:
            return dict(ChainMap(*(dict(self._cleared([one], slots)) for one in answers)))
        self.refusals[answers[0].family] = self.runner.refusal
        return {answers[0].family: None}


def _alone_at(answer: Answer, slots: Iterable[tuple[int, Tensor]], runs: Sequence[Run]) -> Answer:
    """Return an answer in which some slots tell what the runs of odd and of even entries have told of them alone."""
    codes = list(answer.codes)
    for place, some in slots:
        index, certain = decode([run.seen[place].pattern for run in runs])
        codes[place] = torch.where(some, index, codes[place][0]), torch.where(some, certain, codes[place][1])
    return replace(answer, codes=codes)


def _less(masks: Masks, others: Masks) -> Masks:
    return {family: mask & ~others[family] for family, mask in masks.items()}


def strangers(answers: Iterable[Answer]) -> list[list[Answer]]:
    """Share out families: those of one list reach nothing together, but for what the model returns."""
    lists: list[tuple[list[Answer], list[int]]] = []
    for answer in answers:
        places = answer.alone.reached & (1 << len(answer.alone.seen)) - 1
        fitting = next((one for one in lists if not one[1][0] & places), None)
        if fitting is None:
            lists.append(([answer], [places]))
        else:
            fitting[0].append(answer)
            fitting[1][0] |= places
    return [members for members, _ in lists]
