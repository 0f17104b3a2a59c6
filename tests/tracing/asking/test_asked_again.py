"""Sources asked again, those that reach nothing together in the same runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.saved_state import SavedState
from physprune_pl.probing.runner import Masks, Run, Runner
from physprune_pl.probing.watching.observations import Family
from physprune_pl.probing.watching.tainting import ModulePath
from physprune_pl.tracing.asking.asked_again import AskedAgain
from physprune_pl.tracing.asking.mixers import find_mixers
from physprune_pl.tracing.asking.questions import Answer, Questions
from physprune_pl.tracing.evidence.evidence import Evidence

KINDS = frozenset({"consumer"})
LAYERS = ("one", "other")
SIZE = 12


class Gated(nn.Module):
    """The channel ``gate`` is added to all others before they are read."""

    def __init__(self, gate: int) -> None:
        super().__init__()
        self.first, self.last, self.gate = nn.Linear(3, SIZE), nn.Linear(SIZE, 2), gate

    def forward(self, x: Tensor) -> Tensor:
        own = self.first(x)
        return self.last(own + own[:, self.gate, None])


class Halves(nn.Module):
    """The halves of its channels are added up."""

    def __init__(self, _: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, SIZE), nn.Linear(SIZE // 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(sum(self.first(x).chunk(2, -1)))


class Pair(nn.Module):
    """Two layers in a row."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.one, self.between, self.other = kind(2), nn.Linear(2, 3), kind(7)

    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.between(self.one(x)))


@contextmanager
def asking(model: nn.Module, torn: bool) -> Iterator[tuple[Questions, list[Answer], list[Masks]]]:
    """Yield questions that note their runs, and what both layers have told; torn: no run stands both of them."""
    model, runs = model.eval(), []
    with torch.no_grad(), ModulePath(model) as path:
        runner = Runner(model, Example.of(torch.randn(2, 3)), path, SavedState(model))

        def run(masks: Masks, last: float) -> Run:
            runs.append(masks)
            if torn and len(masks) > 1:
                raise ArithmeticError
            return runner.run(masks, last=last)

        asked = Questions(runner, runner.run(), run, lambda _: SIZE, KINDS)
        families: list[Family] = [(f"{layer}.first.weight", 0) for layer in LAYERS]
        answers = [asked.apart(family, asked.alone(family)) for family in families]
        runs.clear()
        yield asked, answers, runs


@pytest.mark.parametrize("torn", [False, True])
def test_layers_are_searched_for_mixers_in_the_same_runs_if_the_model_stands_that(torn: bool) -> None:
    with asking(Pair(Gated), torn) as (questions, answers, runs):
        unclear = {answer.family: answer.unclear(KINDS) for answer in answers}
        found = find_mixers(questions.tainted, unclear, dict.fromkeys(unclear, SIZE))
        assert [mask.nonzero().flatten().tolist() for mask in found.values()] == [[2], [7]]
        assert [len(masks) for masks in runs[:3]] == ([2, 1, 1] if torn else [2, 2, 2])


@pytest.mark.parametrize("torn", [False, True])
def test_the_rest_of_a_layer_is_clear_without_its_mixers(torn: bool) -> None:
    with asking(Pair(Gated), torn) as (questions, answers, runs):
        evidence = Evidence(sizes={answer.family: SIZE for answer in answers})
        again = AskedAgain(questions, evidence)
        for answer, gate in zip(again.answers(answers), (2, 7), strict=True):
            (place,) = answer.alone.hits
            others = [channel for channel in range(SIZE) if channel != gate]
            assert answer.reach(place).index.tolist() == others
            assert again.mixers[answer.family].nonzero().flatten().tolist() == [gate]
        assert [len(masks) for masks in runs[-2:]] == ([1, 1] if torn else [2, 2])


@pytest.mark.parametrize("torn", [False, True])
def test_channels_that_stay_equal_are_asked_as_units(torn: bool) -> None:
    with asking(Pair(Halves), torn) as (questions, answers, runs):
        evidence = Evidence(sizes={answer.family: SIZE for answer in answers})
        for answer in answers:
            assert answer.unclear(KINDS)
            half = torch.arange(SIZE // 2)
            evidence.link(answer.family, half, answer.family, half + SIZE // 2)
        again = AskedAgain(questions, evidence)
        for answer in again.answers(answers):
            (place,) = [one for one in answer.alone.hits if answer.alone.seen[one].kind == "consumer"]
            assert answer.reach(place).index.tolist() == list(range(SIZE // 2))
        assert again.mixers == {}
        assert [len(masks) for masks in runs[-2:]] == ([1, 1] if torn else [2, 2])
