"""One family asked about alone, and by the bits of its entries."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import untouched
from physprune_pl.probing.runner import Runner, contested
from physprune_pl.probing.watching.codes import word_length
from physprune_pl.probing.watching.observations import Observation
from physprune_pl.probing.watching.tainting import ModulePath
from physprune_pl.tracing.asking.questions import Answer, Questions

KINDS = frozenset(("consumer", "carrier", "norm", "part"))


class Summed(nn.Module):
    """Four channels of one layer; the next reads them in pairs, and its second half those of a rival too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.rival, self.last = nn.Linear(3, 4), nn.Linear(3, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        own, other = self.first(x), self.rival(x)
        return self.last(torch.cat([own[:, :2], own[:, 2:] + other], 1))


class Branching(Summed):
    def forward(self, x: Tensor) -> Tensor:
        own = self.first(x)
        return self.last(own) if bool((own == own).all()) else self.last(own.abs() + 1)


FIRST, RIVAL, READ = ("first.weight", 0), ("rival.weight", 0), ("last.weight", 1)
SIZES = {FIRST: 4, RIVAL: 2}


@contextmanager
def asking(model: nn.Module):
    model.eval()
    with untouched(model) as saved, ModulePath(model) as path:
        runner = Runner(model, Example.of(torch.zeros(1, 3)), path, saved)
        yield Questions(
            runner, runner.run(), lambda masks, last: runner.run(masks, last=last), SIZES.__getitem__, KINDS
        )


def reads_of_last(questions: Questions) -> int:
    return next(i for i, seen in enumerate(questions.clean.seen) if seen.family == READ)


def test_a_family_alone_shows_its_slots_and_codes_show_its_entries():
    with asking(Summed()) as questions:
        answer = questions.apart(RIVAL, questions.alone(RIVAL))
        place = reads_of_last(questions)
        assert answer.alone.seen[place].pattern.tolist() == [False, False, True, True]
        assert answer.codes[place][0][2:].tolist() == [0, 1]
        assert answer.unclear(KINDS) == {}
        reach = answer.reach(place)
        assert (reach.source, reach.index.tolist()) == (RIVAL, [0, 1])
        assert (reach.family, reach.slots.tolist()) == (READ, [2, 3])
        assert reach.place == ("eval", place)


def test_some_entries_of_a_family_are_tainted_without_the_others():
    with asking(Summed()) as questions:
        place = reads_of_last(questions)
        odd = torch.tensor([False, True, False, True])
        assert questions.tainted({FIRST: odd}).seen[place].pattern.tolist() == [False, True, False, True]
        rest, codes = questions.without({FIRST: odd})
        assert rest.seen[place].pattern.tolist() == [True, False, True, False]
        assert Answer(FIRST, 4, rest, codes).reach(place).index.tolist() == [0, 2]


def test_what_a_rival_has_blurred_is_asked_again():
    with asking(Summed()) as questions:
        alone = questions.alone(FIRST)
        rivals = contested([alone, questions.alone(RIVAL)], questions.clean)
        # The rival counts the other way round, so that codes disagree where both arrive.
        both = questions.coded({FIRST: torch.arange(4), RIVAL: torch.tensor([1, 0])})
        place = reads_of_last(questions)
        assert Answer(FIRST, 4, alone, both).unclear(KINDS)[place].tolist() == [False, False, True, True]
        assert questions.answer(FIRST, alone, both, rivals).reach(place).index.tolist() == [0, 1, 2, 3]
        nobody = [torch.zeros_like(slots) for slots in rivals]
        assert questions.answer(FIRST, alone, both, nobody).codes is both


class Mixed(Summed):
    """Every channel reaches every column."""

    def forward(self, x: Tensor) -> Tensor:
        own = self.first(x)
        return self.last(own + own.sum(1, keepdim=True))


@pytest.mark.parametrize(("model", "asked"), [(Summed, 4), (Mixed, 2)])
def test_what_a_family_has_blurred_itself_is_asked_for_its_lowest_bit_only(model, asked):
    with asking(model()) as questions:
        alone, everybody = questions.alone(FIRST), [torch.ones_like(seen.pattern) for seen in questions.clean.seen]
        codes = {FIRST: torch.arange(4), RIVAL: torch.tensor([1, 0])}
        together = questions.coded(codes if model is Summed else {FIRST: codes[FIRST]})
        runs, run = [], questions.run
        counted = replace(questions, run=lambda masks, last: runs.append(masks) or run(masks, last))
        answer = counted.answer(FIRST, alone, together, everybody)
        assert len(runs) == asked
        assert len(answer.reach(reads_of_last(questions)).index) == (0 if model is Mixed else 4)


def test_slots_that_all_entries_reach_are_told_from_such_that_have_some_each_whatever_else_comes_there():
    with asking(Mixed()) as questions:
        alone, everybody = questions.alone(FIRST), [torch.ones_like(seen.pattern) for seen in questions.clean.seen]
        place = reads_of_last(questions)
        # Something else arrives that counts the slots.
        blurred = [(index + torch.arange(len(index)), certain) for index, certain in questions.together([FIRST])]
        answer = questions.answer(FIRST, alone, blurred, everybody)
        assert not Answer(FIRST, 4, alone, blurred).alike(place, torch.arange(4))
        assert answer.alike(place, torch.arange(4))
        assert not answer.alike(place, torch.arange(1))


class Pair(nn.Module):
    """Two such networks side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = Summed(), Summed()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.one(x), self.other(x)


def test_families_that_reach_nothing_together_are_cleared_in_the_same_runs():
    firsts = [(f"{name}.first.weight", 0) for name in ("one", "other")]
    with asking(Pair()) as questions:
        questions = replace(questions, sizes=lambda family: SIZES[family[0].partition(".")[2], 0])
        alone = {family: questions.alone(family) for family in firsts}
        everybody = [torch.ones_like(seen.pattern) for seen in questions.clean.seen]
        codes = {family: torch.arange(4) for family in firsts}
        rivals = {(f"{name}.rival.weight", 0): torch.tensor([1, 0]) for name in ("one", "other")}
        together = questions.coded({**codes, **rivals})
        runs, run = [], questions.run
        counted = replace(questions, run=lambda masks, last: runs.append(masks) or run(masks, last))
        answers = counted.answers(alone, together, everybody)
        assert len(runs) == word_length(4)
        for family, reader in zip(firsts, (("one.last.weight", 1), ("other.last.weight", 1)), strict=True):
            place = next(place for place, seen in enumerate(questions.clean.seen) if seen.family == reader)
            assert answers[family].reach(place).index.tolist() == [0, 1, 2, 3]


def test_a_model_that_takes_another_way_answers_nothing():
    with asking(Branching()) as questions:
        alone = questions.clean
        assert questions.alone(FIRST) is None
        assert questions.together([FIRST]) is None
        assert questions.apart(FIRST, alone) is None
        assert questions.without({FIRST: torch.tensor([True, False, False, False])}) == (None, None)
        assert questions.answer(FIRST, alone, None, []) is None


@pytest.mark.parametrize(
    ("certain", "mixed"), [([[0, 0], [0, 0]], True), ([[1, 1], [0, 1]], True), ([[1, 1], [1, 1]], False)]
)
def test_entries_that_reach_some_head_together_are_mixed_there(certain, mixed):
    seen = [Observation("head", (name, 0), torch.tensor([True, True])) for name in ("query", "key")]
    alone = SimpleNamespace(seen=seen, hits=[0, 1])
    codes = [(torch.arange(2), torch.tensor(one, dtype=torch.bool)) for one in certain]
    assert Answer(FIRST, 2, alone, codes).mixed_at_heads is mixed
