"""How calls store their weight: read from the operation, not from the module that makes it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from physprune_pl.probing import probe
from physprune_pl.probing.operations import operations
from physprune_pl.probing.operations.operation_rows import Layout, LengthsTimesDirections, Operation
from physprune_pl.probing.operations.operations import conv_groups, layout_of, operands, operation_of


class Watch(TorchFunctionMode):
    """Keeps what the tested functions say about every call."""

    def __init__(self):
        super().__init__()
        self.mixing = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        layout = layout_of(func, args, kwargs)
        if layout is not None:
            self.mixing.append((layout, operands(func, args, kwargs), conv_groups(func, args, kwargs)))
        return func(*args, **kwargs)


def watched(call, *args, **kwargs):
    with Watch() as watch:
        call(*args, **kwargs)
    return watch.mixing


def image(dims, channels=4):
    return torch.randn(2, channels, *[5] * dims)


CONVS = [nn.Conv1d, nn.Conv2d, nn.Conv3d]
TRANSPOSED = [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions(dims, groups, transposed):
    module = (TRANSPOSED if transposed else CONVS)[dims - 1](4, 8, 3, groups=groups)
    ((layout, (data, weight, bias), found),) = watched(module, image(dims))
    assert layout == Layout(int(transposed), int(not transposed), -1 - dims, transposed)
    assert found == groups
    assert weight is module.weight
    assert bias is module.bias
    assert weight.shape[layout.input_dim] == (4 if transposed else 4 // groups)
    assert weight.shape[layout.output_dim] == (8 // groups if transposed else 8)
    assert data.shape[layout.axis] == 4


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_axis_of_channels_holds_without_a_batch_too(dims, transposed):
    module = (TRANSPOSED if transposed else CONVS)[dims - 1](4, 8, 3)
    ((layout, (data, _, _), _),) = watched(module, image(dims)[0])
    assert data.shape[layout.axis] == 4
    assert module(data).shape[layout.axis] == 8


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 4), (2, 3, 5, 4)])
def test_linear(shape):
    module = nn.Linear(4, 3)
    ((layout, (data, weight, bias), groups),) = watched(module, torch.randn(shape))
    assert layout == Layout(0, 1, -1)
    assert (weight is module.weight, bias is module.bias, groups) == (True, True, 1)
    assert data.shape[-1] == 4


WEIGHT = nn.Parameter(torch.randn(4, 3))
DATA = torch.randn(2, 4)
PRODUCTS = {
    "operator": lambda: DATA @ WEIGHT,
    "torch.matmul": lambda: torch.matmul(DATA, WEIGHT),
    "matmul by keyword": lambda: torch.matmul(DATA, other=WEIGHT),
    "torch.mm": lambda: torch.mm(DATA, WEIGHT),
    "mm by keyword": lambda: torch.mm(DATA, mat2=WEIGHT),
    "Tensor.matmul": lambda: DATA.matmul(WEIGHT),
    "Tensor.mm": lambda: DATA.mm(WEIGHT),
    "in three dimensions": lambda: DATA.view(1, 2, 4) @ WEIGHT,
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_with_a_parameter_stores_inputs_first(name):
    ((layout, (data, weight, bias), groups),) = watched(PRODUCTS[name])
    assert layout == Layout(1, 0, -1)
    assert weight is WEIGHT
    assert data.shape[-1] == WEIGHT.shape[layout.input_dim]
    assert (bias, groups) == (None, 1)


@pytest.mark.parametrize("add", [torch.addmm, torch.Tensor.addmm])
def test_addmm_has_its_bias_first(add):
    start = nn.Parameter(torch.randn(3))
    ((layout, (data, weight, bias), _),) = watched(add, start, DATA, WEIGHT)
    assert layout == Layout(1, 0, -1)
    assert (data is DATA, weight is WEIGHT, bias is start) == (True, True, True)


NO_MIXING = {
    "two activations": lambda: DATA @ torch.randn(4, 3),
    "weight on the left": lambda: WEIGHT @ torch.randn(3, 2),
    "two parameters": lambda: WEIGHT @ nn.Parameter(torch.randn(3, 2)),
    "a stack of weights": lambda: torch.randn(5, 2, 4) @ nn.Parameter(torch.randn(5, 4, 3)),
    "a vector": lambda: DATA @ nn.Parameter(torch.randn(4)),
    "addmm of activations": lambda: torch.addmm(torch.zeros(3), DATA, torch.randn(4, 3)),
    "elementwise": lambda: (DATA + 1) * nn.Parameter(torch.ones(4)),
    "norm": lambda: F.layer_norm(DATA, (4,), nn.Parameter(torch.ones(4))),
    "embedding": lambda: F.embedding(torch.tensor([1, 2]), WEIGHT),
    "pooling": lambda: F.max_pool2d(image(2), 2),
}


@pytest.mark.parametrize("name", NO_MIXING)
def test_what_mixes_no_channels_with_a_stored_weight_has_no_layout(name):
    assert watched(NO_MIXING[name]) == []


KEYWORDS = {
    "conv": (F.conv2d, {"weight": nn.Parameter(torch.randn(6, 2, 1, 1)), "bias": torch.zeros(6), "groups": 2}, 2),
    "transposed": (F.conv_transpose2d, {"weight": nn.Parameter(torch.randn(4, 3, 1, 1)), "bias": None, "groups": 4}, 4),
}


@pytest.mark.parametrize("name", KEYWORDS)
def test_everything_by_keyword(name):
    func, kwargs, groups = KEYWORDS[name]
    data = image(2)
    ((layout, found, seen),) = watched(lambda: func(input=data, **kwargs))
    given = (data, kwargs["weight"], kwargs["bias"])
    assert all(one is other for one, other in zip(found, given, strict=True))
    assert seen == groups
    assert layout.axis == -3


def test_conv_groups_are_the_seventh_argument_or_a_keyword():
    weight = torch.randn(4, 1, 1, 1)
    assert conv_groups(F.conv2d, (image(2), weight, None, 1, 0, 1, 4), {}) == 4
    assert conv_groups(F.conv2d, (image(2), weight), {"groups": 4}) == 4
    assert conv_groups(F.conv2d, (image(2), weight), {}) == 1
    # the seventh argument of other operations is something else
    assert conv_groups(F.linear, tuple(range(8)), {"groups": 9}) == 1


def test_a_transposed_convolution_has_its_groups_before_its_dilation():
    weight = torch.randn(4, 1, 1, 1)
    assert watched(F.conv_transpose2d, image(2), weight, None, 1, 0, 0, 4, 1)[0][2] == 4


def test_a_row_names_what_pytorch_has():
    with pytest.raises(AttributeError, match="'no_such_operation'"):
        operations._named("relu", "no_such_operation")


def test_a_function_is_in_one_row():
    rows = [function for functions, _ in operations._ROWS for function in dict.fromkeys(functions)]
    assert len(rows) == len(set(rows))


def test_every_kind_of_row_has_its_way():
    kinds = {type(row) for _, row in operations._ROWS} - {Operation, LengthsTimesDirections}
    assert kinds == {*probe._WATCHED, *probe._COMPUTED, *probe._AXES}


METHODS = {
    "function and method": (torch.mul, torch.Tensor.mul),
    "operator": (torch.Tensor.__truediv__, torch.div),
    "in place": (torch.Tensor.__itruediv__, torch.Tensor.div_),
    "number over tensor": (torch.Tensor.__rtruediv__, torch.rsub),
}


@pytest.mark.parametrize("name", METHODS)
def test_an_operation_is_known_by_each_of_its_names(name):
    one, other = METHODS[name]
    assert operation_of(one) is operation_of(other)
    assert operation_of(one).carries == "up to the end"


def test_what_is_in_no_row_lets_channels_pass():
    assert operation_of(torch.relu) == Operation()
