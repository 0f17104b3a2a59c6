"""One family asked about alone, and by the bits of its entries."""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import untouched
from physprune_pl.probing.runner import Runner, contested
from physprune_pl.probing.tainting import ModulePath
from physprune_pl.tracing.questions import Questions

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


@contextmanager
def asking(model: nn.Module):
    model.eval()
    with untouched(model) as saved, ModulePath(model) as path:
        runner = Runner(model, Example.of(torch.zeros(1, 3)), path, saved)
        yield Questions(runner, runner.run(), runner.run, KINDS)


FIRST, RIVAL = ("first.weight", 0), ("rival.weight", 0)


def reads_of_last(questions: Questions) -> int:
    return next(i for i, seen in enumerate(questions.clean.seen) if seen.family == ("last.weight", 1))


def test_a_family_alone_shows_its_slots_and_codes_show_its_entries():
    with asking(Summed()) as questions:
        alone = questions.alone(RIVAL, 2)
        codes = questions.coded({RIVAL: torch.arange(2)})
        place = reads_of_last(questions)
        assert alone.seen[place].pattern.tolist() == [False, False, True, True]
        assert codes[place][0][2:].tolist() == [0, 1]
        assert questions.unclear(alone, codes, 2) == {}


def test_what_a_rival_has_blurred_is_asked_again():
    with asking(Summed()) as questions:
        alone = questions.alone(FIRST, 4)
        runs = [alone, questions.alone(RIVAL, 2)]
        # The rival counts the other way round, so that codes disagree where both arrive.
        both = questions.coded({FIRST: torch.arange(4), RIVAL: torch.tensor([1, 0])})
        place = reads_of_last(questions)
        assert questions.unclear(alone, both, 4)[place].tolist() == [False, False, True, True]
        rivals = contested(runs, questions.clean)
        assert questions.rivals_blur(FIRST, alone, both, 4, rivals)
        nobody = [torch.zeros_like(slots) for slots in rivals]
        assert not questions.rivals_blur(FIRST, alone, both, 4, nobody)


def test_a_model_that_takes_another_way_answers_nothing():
    with asking(Branching()) as questions:
        assert questions.alone(FIRST, 4) is None
        assert questions.coded({FIRST: torch.arange(4)}) is None
