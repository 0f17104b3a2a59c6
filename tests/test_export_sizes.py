"""Exports of cut networks take heights, widths and lengths that they were not exported with."""

from __future__ import annotations

import pytest
import torch
from exported import assert_equal, call, needs_onnx, onnx_outputs
from torch import Tensor, nn

from physprune_pl.export import export_onnx, export_program
from physprune_pl.planning import plan_pruning
from physprune_pl.surgery.apply import apply_plan


class Segmenter(nn.Module):
    """Looks at the sizes of its input, as networks for pictures of any height and width do."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 24, 3, 2, 1)
        self.gate, self.head = nn.Conv2d(24, 24, 1), nn.Conv2d(40, 2, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        whole = self.first(pictures).relu()
        half = self.second(whole).relu()
        half = half * self.gate(half.mean((2, 3), keepdim=True)).sigmoid()
        return self.head(torch.cat([nn.functional.interpolate(half, whole.shape[-2:], mode="bilinear"), whole], 1))


class Reader(nn.Module):
    """Attention over a sequence of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.attention = nn.Embedding(50, 16), nn.MultiheadAttention(16, 4, batch_first=True)
        self.inner, self.head = nn.Linear(16, 32), nn.Linear(32, 3)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.tokens(ids)
        x = x + self.attention(x, x, x, key_padding_mask=~mask, need_weights=False)[0]
        return (self.head(self.inner(x).relu()) * mask[..., None]).mean(1)


def read(batch: int, length: int) -> dict[str, Tensor]:
    return {"ids": torch.randint(50, (batch, length)), "mask": torch.ones(batch, length, dtype=torch.bool)}


SIZES = {
    "height and width": (
        *(Segmenter, torch.randn(1, 3, 16, 24), {"pictures": (2, 3)}),
        [torch.randn(2, 3, 33, 21), torch.randn(1, 3, 10, 40)],
    ),
    "length of a sequence": (Reader, read(1, 7), {"ids": (1,), "mask": (1,)}, [read(2, 11), read(3, 4)]),
}


@needs_onnx
@pytest.mark.parametrize("name", SIZES)
def test_other_dimensions_may_have_any_size(name, tmp_path):
    build, example, dynamic, others = SIZES[name]
    torch.manual_seed(0)
    model = build().eval()
    apply_plan(model, plan_pruning(model, example, {"params": 0.6}))
    program = export_program(model, example, dynamic=dynamic).module()
    path = export_onnx(model, example, tmp_path / "model.onnx", dynamic=dynamic)
    for inputs in others:
        with torch.no_grad():
            wanted = [call(model, inputs)]
            assert_equal([call(program, inputs)], wanted)
            assert_equal(onnx_outputs(path, inputs), wanted)


@pytest.mark.parametrize(
    ("dynamic", "message"),
    [
        (
            {"picture": (2,)},
            r"dynamic: expected arguments of forward that are tensors, such as \['pictures'\], got 'pic",
        ),
        (
            {"pictures": (2, 4)},
            r"dimensions of 'pictures' with a size of at least 2, got \[4\] of shape \(2, 3, 16, 24\)",
        ),
    ],
)
def test_dimensions_that_are_not_there_are_named(dynamic, message):
    with pytest.raises(ValueError, match=message):
        export_program(Segmenter(), torch.zeros(1, 3, 16, 24), dynamic=dynamic)


def test_a_size_that_the_network_fixes_is_refused_in_words():
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 2))
    with pytest.raises(ValueError, match=r"torch\.export cannot export Sequential"):
        export_program(model, torch.zeros(1, 3, 16), dynamic={"input": (2,)})
