"""Sources whose channels meet: asked again by units, and without the few channels that are mixed with all others.

Those that reach nothing together are asked in one run, as the layers of a transformer block by block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from physprune_pl.probing.mixing.mixing import Crossings
from physprune_pl.probing.runner import Masks, PartOfRun
from physprune_pl.probing.watching.codes import Codes
from physprune_pl.probing.watching.observations import Family
from physprune_pl.tracing.asking.mixers import find_mixers
from physprune_pl.tracing.asking.questions import Answer, Questions, strangers
from physprune_pl.tracing.evidence.evidence import Evidence
from physprune_pl.tracing.evidence.in_step import in_step


class AskedAgain:
    """Asks sources again whose channels meet in some slots: they may pass layers that mix positions, for instance.

    Args:
        questions: asks the model.
        evidence: what is known of channels that must stay equal.

    Attributes:
        mixers: source -> mask of the channels that are combined with all others of it, and were left out.
    """

    def __init__(self, questions: Questions, evidence: Evidence) -> None:
        self.questions, self.evidence = questions, evidence
        self.mixers: dict[Family, Tensor] = {}

    def answers(self, answers: Sequence[Answer]) -> list[Answer]:
        """Return what sources tell if asked so."""
        found = {answer.family: answer for answer in answers}
        found |= self._by_unit(answers, self.questions)
        followed = {one.family: one for answer in found.values() if (one := self._followed(answer)) is not None}
        mixed = [answer for answer in found.values() if _mixed(answer) and answer.size > 2]
        for members in strangers([answer for answer in mixed if answer.family not in followed]):
            found |= self._without_mixers(members)
        return list((found | followed).values())

    def _followed(self, answer: Answer) -> Answer | None:
        """Follow channels through calls that they pass along another axis than the one that is mixed, if there are any.

        Such a call finds every channel at each of its inputs.
        """
        source, unclear = answer.family, answer.unclear({"consumer"})
        if not any(bool(slots.all()) for slots in unclear.values()):
            return None
        looking = self.questions.following(Crossings(looking=True))
        some = looking.tainted({source: torch.arange(answer.size) % 2 == 1})
        if some is None or not some.probe.mixes.crossed:
            return None
        questions = self.questions.following(Crossings(some.probe.mixes.crossed))
        alone = questions.alone(source)
        found = None if alone is None else questions.apart(source, alone)
        if alone is None or found is None:
            return None
        for (weight, _), whole in alone.probe.mixes.crossed.items():
            if whole:
                self.evidence.across.setdefault(weight, source)
        return self._by_unit([found], questions).get(source, found) if _mixed(found) else found

    def _by_unit(self, answers: Sequence[Answer], questions: Questions) -> dict[Family, Answer]:
        """Ask by units: channels that must stay equal (the halves of a gated unit) may meet in one slot."""
        space, root, _ = self.evidence.components()
        root = in_step(self.evidence, space, root)
        units: dict[Family, tuple[Tensor, Tensor]] = {}
        for answer in answers:
            _, first, unit = np.unique(root[space.slots(answer.family)], return_index=True, return_inverse=True)
            if len(first) < answer.size:
                units[answer.family] = torch.from_numpy(first).long(), torch.from_numpy(unit).long()
        found: dict[Family, Answer] = {}
        for members in strangers([answer for answer in answers if answer.family in units]):
            codes = _coded(questions, {one.family: units[one.family][1] for one in members})
            found |= {one.family: _told(one, codes[one.family], units[one.family][0]) for one in members}
        return found

    def _without_mixers(self, answers: Sequence[Answer]) -> dict[Family, Answer]:
        """Leave out the few channels that are combined with all others of their source, and ask about the rest."""
        sizes = {answer.family: answer.size for answer in answers}
        found = find_mixers(self.questions.tainted, {answer.family: _mixed(answer) for answer in answers}, sizes)
        few = {family: mask for family, mask in found.items() if mask is not None}
        rest = self._rest([answer for answer in answers if answer.family in few], few)
        self.mixers |= {family: few[family] for family in rest}
        unclear = [answer for answer in rest.values() if _mixed(answer)]
        return rest | (self._by_unit(unclear, self.questions.sparing(few)) if unclear else {})

    def _rest(self, answers: Sequence[Answer], mixers: Mapping[Family, Tensor]) -> dict[Family, Answer]:
        """Return what the other channels of sources tell; nothing of those that the model does not stand so."""
        if not answers:
            return {}
        masks = {answer.family: mixers[answer.family] for answer in answers}
        run, codes = self.questions.without(masks)
        if run is not None and codes is not None:
            parts = [(answer, PartOfRun(run, answer.alone.reached)) for answer in answers]
            return {answer.family: Answer(answer.family, answer.size, part, codes) for answer, part in parts}
        singly = [self._rest([answer], mixers) for answer in answers] if len(answers) > 1 else []
        return {family: answer for one in singly for family, answer in one.items()}


def _coded(questions: Questions, codes: Masks) -> dict[Family, Codes | None]:
    together = questions.coded(codes)
    if together is None and len(codes) > 1:
        return {family: questions.coded({family: own}) for family, own in codes.items()}
    return dict.fromkeys(codes, together)


def _mixed(answer: Answer) -> dict[int, Tensor]:
    return answer.unclear({"consumer", "carrier", "norm"})


def _told(answer: Answer, by_unit: Codes | None, members: Tensor) -> Answer:
    """Return an answer in which a slot tells the first channel of the unit that reaches it, where that is clearer."""
    if by_unit is None:
        return answer
    codes = [(members[index.clamp(max=len(members) - 1)], certain) for index, certain in by_unit]
    for place in answer.alone.hits:
        if bool(answer.sure(place)[answer.alone.seen[place].pattern].all()):
            codes[place] = answer.codes[place]
    return replace(answer, codes=codes)
