"""Sums over products run as matrix products where they are such, and always give the same."""

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from physprune_pl.probing.mixing.einsums import as_product

PRODUCTS = [
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("b q h d, b k h d -> b h q k", (2, 4, 3, 5), (2, 6, 3, 5)),
    ("bhqk,bkhd->bqhd", (2, 3, 4, 6), (2, 6, 3, 5)),
    ("bihd,bjhd->bijh", (2, 4, 3, 5), (2, 6, 3, 5)),
    ("...ijh,...jhd->...ihd", (2, 4, 6, 3), (2, 6, 3, 5)),
    ("bqghd,bkgd->bghqk", (2, 4, 3, 2, 5), (2, 6, 3, 5)),
    ("hd,hkd->hk", (3, 5), (3, 6, 5)),
    ("bhd,bhd->bh", (2, 3, 5), (2, 3, 5)),
]
LAYERS = [
    ("btd,de->bte", (2, 4, 5), (5, 6)),
    ("bit,oi->bot", (2, 5, 4), (6, 5)),
    ("...d,de->...e", (2, 4, 5), (5, 6)),
]
OTHERS = [
    ("bij->bji", (2, 3, 4)),
    ("bi,bj", (2, 3), (2, 4)),
    ("bii,bi->b", (2, 3, 3), (2, 3)),
    ("bid,bd,d->bi", (2, 3, 4), (2, 4), (4,)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (1, 3, 6, 5)),
    ("bhqd,bhkd->bhk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("btd,dhe->bhte", (2, 4, 5), (5, 3, 6)),
]


class Called(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


class AsProducts(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        product = as_product(args) if func is torch.einsum else None
        return func(*args, **(kwargs or {})) if product is None else product


def ran(equation, operands):
    """Names of what ran, once the result is known to be right."""
    expected = torch.einsum(equation, *operands)
    with Called() as called, AsProducts():
        got = torch.einsum(equation, *operands)
    torch.testing.assert_close(got, expected)
    with AsProducts():
        torch.testing.assert_close(torch.einsum(equation, list(operands)), expected)
    return called.names


@pytest.mark.parametrize(("equation", "left", "right"), PRODUCTS)
def test_products(equation, left, right):
    names = ran(equation, (torch.randn(left), torch.randn(right)))
    assert "matmul" in names
    assert "einsum" not in names


@pytest.mark.parametrize("parameter_first", [False, True])
@pytest.mark.parametrize(("equation", "left", "right"), LAYERS)
def test_layers(equation, left, right, parameter_first):
    operands = (torch.randn(left), nn.Parameter(torch.randn(right)))
    if parameter_first:
        inputs, out = equation.split("->")
        equation, operands = f"{','.join(reversed(inputs.split(',')))}->{out}", tuple(reversed(operands))
    names = ran(equation, operands)
    assert {"matmul", "linear"} & {*names}
    assert "einsum" not in names


@pytest.mark.parametrize("given", OTHERS, ids=lambda given: given[0])
def test_anything_else_stays(given):
    equation, *shapes = given
    operands = [torch.randn(shape) for shape in shapes]
    if "h" in equation and len(shapes[1]) == 3:
        operands[1] = nn.Parameter(operands[1])
    assert "einsum" in ran(equation, operands)


def test_wrong_calls_raise_what_torch_raises():
    with AsProducts(), pytest.raises(RuntimeError, match="einsum"):
        torch.einsum("bij,bj->bi", torch.zeros(2, 3), torch.zeros(2, 3))
