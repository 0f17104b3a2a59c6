"""Sources whose channels meet: asked again by units, and without the few channels that are mixed with all others.

Those that reach nothing together are asked in one run, as the layers of a transformer block by block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from physprune_pl.probing.codes import Codes
from physprune_pl.probing.observations import Family
from physprune_pl.probing.runner import Masks, PartOfRun
from physprune_pl.tracing.evidence import Evidence
from physprune_pl.tracing.mixers import find_mixers
from physprune_pl.tracing.questions import Answer, Questions, strangers


class AskedAgain:
    """Asks sources again whose channels meet in some slots.

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
        found |= self._by_unit(answers)
        for members in strangers([answer for answer in found.values() if _mixed(answer) and answer.size > 2]):
            found |= self._without_mixers(members)
        return list(found.values())

    def _by_unit(self, answers: Sequence[Answer]) -> dict[Family, Answer]:
        """Ask by units: channels that must stay equal (the halves of a gated unit) may meet in one slot."""
        space, root, _ = self.evidence.components()
        units: dict[Family, tuple[Tensor, Tensor]] = {}
        for answer in answers:
            _, first, unit = np.unique(root[space.slots(answer.family)], return_index=True, return_inverse=True)
            if len(first) < answer.size:
                units[answer.family] = torch.from_numpy(first).long(), torch.from_numpy(unit).long()
        found: dict[Family, Answer] = {}
        for members in strangers([answer for answer in answers if answer.family in units]):
            codes = self._coded({one.family: units[one.family][1] for one in members})
            found |= {one.family: _told(one, codes[one.family], units[one.family][0]) for one in members}
        return found

    def _coded(self, codes: Masks) -> dict[Family, Codes | None]:
        together = self.questions.coded(codes)
        if together is None and len(codes) > 1:
            return {family: self.questions.coded({family: own}) for family, own in codes.items()}
        return dict.fromkeys(codes, together)

    def _without_mixers(self, answers: Sequence[Answer]) -> dict[Family, Answer]:
        """Leave out the few channels that are combined with all others of their source, and ask about the rest."""
        sizes = {answer.family: answer.size for answer in answers}
        found = find_mixers(self.questions.tainted, {answer.family: _mixed(answer) for answer in answers}, sizes)
        few = {family: mask for family, mask in found.items() if mask is not None}
        rest = self._rest([answer for answer in answers if answer.family in few], few)
        self.mixers |= {family: few[family] for family in rest}
        return rest

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
