"""The table of operations: what each does to channels, and so how it is watched. Another operation is another row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from physprune_pl.probing.operations.axis_rows import (
    Expansion,
    Indexing,
    MultipliedHalves,
    Narrowing,
    Parts,
    ReadsShape,
    View,
)
from physprune_pl.probing.operations.operation_rows import (
    ActivationProduct,
    Argument,
    Assignment,
    Attention,
    Convolves,
    Creation,
    Layout,
    LengthsTimesDirections,
    LooksUp,
    Mixes,
    Multiplies,
    NormOfGroups,
    NormOfShape,
    Opaque,
    Operation,
    Quantisation,
    Softmax,
    Statistic,
)
from physprune_pl.probing.operations.quantisers import quantised

Function = Callable[..., Any]

NATIVE = {"aten", "prim", "prims", "profiler", "mkldnn", "onednn", "c10d", "_c10d_functional", "inductor"}
"""Namespaces of PyTorch's own operations."""


def sealed(*inputs: Any) -> tuple[Any, ...]:
    """Return the inputs of a part that nobody can look into; under a probe, without the marks of channels."""
    tensors = tuple(value for value in inputs if isinstance(value, Tensor))
    if has_torch_function(tensors):
        result: tuple[Any, ...] = handle_torch_function(sealed, tensors, *inputs)
        return result
    return inputs


_HOMES = (torch, Tensor, F, torch._C._nn)


def _named(*names: str) -> tuple[Function, ...]:
    """Return the functions and methods of PyTorch of these names.

    Raises:
        AttributeError: there is none of a name.
    """
    found = {name: [getattr(home, name) for home in _HOMES if callable(getattr(home, name, None))] for name in names}
    missing = [name for name, functions in found.items() if not functions]
    if missing:
        raise AttributeError(f"names: PyTorch {torch.__version__} has no operation {missing[0]!r}")
    return tuple(function for functions in found.values() for function in functions)


_ROWS: tuple[tuple[tuple[Function, ...], Operation], ...] = (
    # channels mixed with a weight
    (_named("linear"), Mixes()),
    (_named("conv1d", "conv2d", "conv3d"), Convolves()),
    (_named("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), Convolves(output_dim=1)),
    (
        _named("matmul", "mm", "__matmul__"),
        Multiplies(weight=Argument(1, ("other", "mat2")), bias=None, otherwise=ActivationProduct()),
    ),
    (
        _named("addmm"),
        Multiplies(data=Argument(1, ("mat1",)), weight=Argument(2, ("mat2",)), bias=Argument(0, ("input",))),
    ),
    ((F.embedding, F.embedding_bag), LooksUp()),
    ((torch.embedding,), LooksUp(weight=Argument(0, ("weight",)))),
    # attention
    (_named("scaled_dot_product_attention"), Attention()),
    (_named("bmm"), ActivationProduct()),
    (_named("softmax"), Softmax()),
    # norms and what they are made of
    (_named("batch_norm", "instance_norm", "prelu"), Operation(carries="from the channels")),
    (_named("layer_norm", "rms_norm"), NormOfShape()),
    (_named("group_norm"), NormOfGroups()),
    (_named("mean", "var", "std", "var_mean", "std_mean", "logsumexp", "amax", "amin", "max", "min"), Statistic()),
    (
        (*_named("norm"), torch.linalg.norm, torch.linalg.vector_norm),
        Statistic(axis=Argument(2, ("dim", "axis")), exact=True),
    ),
    ((F.normalize,), Statistic(axis=Argument(2, ("dim",), 1), exact=True, same_shape=True)),
    # axes
    ((Tensor.shape.__get__, Tensor.size), ReadsShape()),  # type: ignore[attr-defined]
    (_named("glu"), MultipliedHalves()),
    (
        _named("split", "split_with_sizes"),
        Parts(
            data=Argument(0, ("tensor", "input")),
            sizes=Argument(1, ("split_size_or_sections", "split_size", "split_sizes")),
        ),
    ),
    (_named("chunk"), Parts(count=Argument(1, ("chunks",)))),
    (_named("tensor_split"), Parts(count=Argument(1, ("indices_or_sections", "sections")))),
    (_named("view", "reshape"), View()),
    (_named("unflatten"), View(axis=Argument(1, ("dim",)))),
    (_named("expand", "broadcast_to"), Expansion()),
    (_named("narrow"), Narrowing()),
    ((Tensor.__getitem__,), Indexing()),
    ((Tensor.__setitem__,), Assignment()),
    ((torch.zeros, torch.ones, torch.empty), Creation()),
    (_named("new_zeros", "new_ones", "new_empty"), Creation(method=True)),
    # element by element
    (
        _named("mul", "multiply", "__mul__", "__rmul__"),
        Operation(carries="up to the end", makes_weights=True, by_element="product"),
    ),
    (_named("mul_", "__imul__"), Operation(carries="up to the end", by_element="product")),
    (
        _named("div", "true_divide", "divide", "__truediv__"),
        Operation(carries="up to the end", makes_weights=True, by_element="quotient"),
    ),
    (_named("div_", "__itruediv__"), Operation(carries="up to the end", by_element="quotient")),
    (
        _named("add", "sub", "subtract", "__add__", "__radd__", "__sub__", "__rsub__"),
        Operation(carries="up to the end", makes_weights=True),
    ),
    (
        _named("add_", "sub_", "__iadd__", "__isub__", "rsub", "__rtruediv__", "where", "addcmul"),
        Operation(carries="up to the end"),
    ),
    (
        (
            *_named("to", "float", "half", "bfloat16", "double", "type_as", "clone", "contiguous", "detach"),
            *_named("abs", "neg", "__neg__", "exp", "tanh", "sigmoid", "sign", "round"),
            *_named("clamp", "clamp_min", "clamp_max"),
        ),
        Operation(makes_weights=True),
    ),
    ((torch._weight_norm,), LengthsTimesDirections(makes_weights=True)),
    # what nobody can look into
    (
        (
            *(F.multi_head_attention_forward, *_named("bilinear", "lstm", "gru", "rnn_tanh", "rnn_relu")),
            *_named("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
            sealed,
        ),
        Opaque(),
    ),
    ((quantised,), Quantisation()),
)
_TABLE: dict[Function, Operation] = {function: row for functions, row in _ROWS for function in functions}
_OTHER = Operation()


TELLING = frozenset(
    {
        *(Tensor.dim, Tensor.ndimension, Tensor.numel, Tensor.stride, Tensor.storage_offset, Tensor.__len__),
        *(Tensor.is_contiguous, Tensor.is_floating_point, torch.is_floating_point, Tensor.is_complex, torch.is_complex),
        *(Tensor.get_device, Tensor.nelement, torch.numel),
        *(
            getattr(Tensor, name).__get__
            for name in ("ndim", "device", "layout", "requires_grad", "is_cuda", "is_leaf", "grad_fn")
        ),
        *(getattr(Tensor, name).__get__ for name in ("is_meta", "is_sparse", "is_quantized", "is_nested", "is_mps")),
    }
)
"""What tells something about a tensor, but none of its numbers, nor the sizes of its axes."""


def is_known(func: Function) -> bool:
    """Return whether an operation is in a row of the table."""
    return func in _TABLE


def operation_of(func: Function) -> Operation:
    """Return how an operation is watched; what is in no row lets NaN pass as it does."""
    return _TABLE.get(func, _OTHER)


def layout_of(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Layout | None:
    """Return how a call stores its weight, None if it mixes no channels with one."""
    row = operation_of(func).in_call(args, kwargs)
    return row.layout(args, kwargs) if isinstance(row, Mixes) else None


def operands(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Any, Any]:
    """Return data, weight and bias of a mixing call."""
    row = operation_of(func)
    if not isinstance(row, Mixes):
        raise TypeError(f"func: expected an operation that mixes channels with a weight, got {func}")
    return row.operands(args, kwargs)


def conv_groups(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Return the number of conv groups of a call, 1 for anything but a convolution."""
    row = operation_of(func)
    return row.groups(args, kwargs) if isinstance(row, Mixes) else 1
