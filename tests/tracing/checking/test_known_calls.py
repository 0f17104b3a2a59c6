"""What a large layer puts out is computed once for two runs, where both give it the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import untouched
from physprune_pl.tracing.checking.comparable import Comparable
from physprune_pl.tracing.checking.drawing import drawn_together
from physprune_pl.tracing.checking.known_calls import KnownCalls
from physprune_pl.tracing.checking.redrawn import redrawn


def test_what_differs_or_is_new_is_computed() -> None:
    known, data = KnownCalls(), torch.ones(3)
    for weight in ("one", "other", "third"):
        assert known.output(weight, 100, [len, data], lambda: data * 2).tolist() == [2, 2, 2]
    known.start_again()
    asked: list[str] = []

    def compute(weight: str) -> Tensor:
        asked.append(weight)
        return data * 3

    assert known.output("one", 100, [len, torch.ones(3)], lambda: compute("one")).tolist() == [2, 2, 2]
    known.output("new", 100, [len, torch.ones(3)], lambda: compute("new"))
    known.output("other", 100, [len, torch.ones(3) * 2], lambda: compute("other"))
    known.output("third", 100, [max, torch.ones(3)], lambda: compute("third"))
    known.output("one", 100, [len, torch.ones(3)], lambda: compute("one again"))
    assert asked == ["new", "other", "third", "one again"]


def test_what_is_no_smaller_than_its_weight_is_not_kept() -> None:
    known, data = KnownCalls(), torch.ones(10)
    known.output("weight", 100, [data], lambda: data)
    known.start_again()
    assert known.output("weight", 100, [data], lambda: data * 3).tolist() == [3] * 10


def test_what_a_model_does_to_outputs_and_inputs_is_not_kept() -> None:
    known, data = KnownCalls(), torch.ones(2)
    known.output("weight", 100, [data], lambda: data.clone()).zero_()
    data.zero_()
    known.start_again()
    assert known.output("weight", 100, [torch.ones(2)], lambda: data).tolist() == [1, 1]


class Modes(nn.Module):
    """Has two large layers, and scales what is between them in train mode if it is told to."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.first, self.last, self.scale = nn.Linear(512, 512), nn.Linear(512, 512), scale

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu_()
        return self.last(hidden * self.scale if self.training else hidden * 1.0)


def test_a_second_run_of_large_layers_puts_out_what_it_would_by_itself() -> None:
    for scale in (1.0, 2.0):
        model, example = Modes(scale).eval(), Example.of(torch.randn(2, 512))
        with untouched(model):
            base, evaluated, known = redrawn(model, example, {"first.weight", "last.weight"})
            assert base.large == {"first.weight", "last.weight"}
            trained = base.dense(Comparable({}), training=True, known=known)
            again = base.dense(Comparable({}), training=True)
        assert all(map(torch.equal, trained, again))
        assert all(map(torch.equal, trained, evaluated)) is (scale == 1.0)


def test_weights_that_are_drawn_together_differ_in_every_row() -> None:
    weights = {str(place): torch.zeros(40, 33) for place in range(5)}
    drawn = drawn_together({**weights, "turned": torch.zeros(33, 40).t()})
    rows = torch.cat(list(drawn.values()))
    assert drawn.keys() == weights.keys()
    assert len(rows.unique(dim=0)) == 200
    assert abs(float(rows.std()) - (2 / 33) ** 0.5) < 0.01


def test_a_weight_that_is_computed_with_has_its_own_memory() -> None:
    class Clipped(Modes):
        def forward(self, x: Tensor) -> Tensor:
            self.first.weight.clamp_(-0.1, 0.1)
            return super().forward(x)

    model, example = Clipped(1.0).eval(), Example.of(torch.randn(2, 512))
    with untouched(model):
        base, _, _ = redrawn(model, example, {"first.weight", "last.weight"})
        assert base.large == {"last.weight"}
        assert float(base.model.last.weight.abs().max()) > 0.1
