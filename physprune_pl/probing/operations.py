"""What operations do to channels: which mix them with a weight, which carry them, which nobody can look into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

CONVOLUTIONS = {torch.conv1d, torch.conv2d, torch.conv3d, F.conv1d, F.conv2d, F.conv3d}
TRANSPOSED = {
    *(torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d),
    *(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
}
LINEAR = {F.linear, torch._C._nn.linear}
MATMUL = {torch.matmul, torch.mm, Tensor.matmul, Tensor.mm, Tensor.__matmul__}
ADDMM = {torch.addmm, Tensor.addmm}
EMBEDDING = {F.embedding, torch.embedding, F.embedding_bag}
PER_CHANNEL = {
    *(F.batch_norm, torch.batch_norm, F.instance_norm, torch.instance_norm, F.prelu, torch.prelu),
    *(torch._C._nn.__dict__.get("prelu", F.prelu),),
}
ACROSS = {F.layer_norm, torch.layer_norm, F.rms_norm, torch.rms_norm}
GROUP_NORM = {F.group_norm, torch.group_norm}
PARTS = {
    F.glu,
    torch._C._nn.glu,
    *(torch.chunk, Tensor.chunk, torch.split, Tensor.split, torch.functional.split),
    *(torch.split_with_sizes, Tensor.split_with_sizes),
    *(torch.tensor_split, Tensor.tensor_split),
}
VIEWS = {Tensor.view, Tensor.reshape, torch.reshape, Tensor.unflatten, torch.unflatten}
EXPANSIONS = {Tensor.expand, torch.broadcast_to, Tensor.broadcast_to}
NARROWS = {torch.narrow, Tensor.narrow}
ELEMENTWISE = {"mul", "add", "sub", "div", "true_divide", "multiply", "subtract", "divide", "rsub"} | {
    *("mul_", "add_", "sub_", "div_", "__mul__", "__rmul__", "__add__", "__radd__", "__sub__", "__rsub__"),
    *("__truediv__", "__rtruediv__", "__imul__", "__iadd__", "__isub__", "__itruediv__", "where", "addcmul"),
}
WEIGHT_NORM = {torch._weight_norm}
ELEMENT_BY_ELEMENT = {
    *("mul", "div", "true_divide", "multiply", "divide", "__mul__", "__rmul__", "__truediv__"),
    *("add", "sub", "subtract", "__add__", "__radd__", "__sub__", "__rsub__"),
    *("to", "float", "half", "bfloat16", "double", "type_as", "clone", "contiguous", "detach"),
    *("abs", "neg", "__neg__", "exp", "tanh", "sigmoid", "sign", "round", "clamp", "clamp_min", "clamp_max"),
}
"""What makes a weight of a parameter without moving any of its numbers."""
QUOTIENTS = {"div", "true_divide", "divide", "div_", "__truediv__", "__itruediv__"}
PRODUCTS_BY_ELEMENT = {"mul", "multiply", "mul_", "__mul__", "__rmul__", "__imul__"}
FUSED_ATTENTION = {F.scaled_dot_product_attention, torch._C._nn.scaled_dot_product_attention}
PRODUCTS = MATMUL | {torch.bmm, Tensor.bmm}
SOFTMAX = {F.softmax, torch.softmax, Tensor.softmax}
OPAQUE = {
    F.multi_head_attention_forward,
    *(F.bilinear, torch.bilinear, torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu),
    *(torch.lstm_cell, torch.gru_cell, torch.rnn_tanh_cell, torch.rnn_relu_cell),
}
NATIVE = {"aten", "prim", "prims", "profiler", "mkldnn", "onednn", "c10d", "_c10d_functional", "inductor"}
"""Namespaces of PyTorch's own operations."""


@dataclass(frozen=True)
class Layout:
    """How one kind of call stores its weight: dimension of outputs and inputs, axis of the channels in the data."""

    output_dim: int
    input_dim: int
    axis: int
    transposed: bool = False


def layout_of(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Layout | None:
    """Return how a call stores its weight, None if it mixes no channels with one."""
    if func in LINEAR:
        return Layout(0, 1, -1)
    if func in CONVOLUTIONS or func in TRANSPOSED:
        _, weight, _ = operands(func, args, kwargs)
        transposed = func in TRANSPOSED
        return Layout(int(transposed), int(not transposed), 1 - weight.dim(), transposed)
    if func in MATMUL or func in ADDMM:
        data, weight, _ = operands(func, args, kwargs)
        plain = isinstance(weight, nn.Parameter) and weight.dim() == 2 and not isinstance(data, nn.Parameter)
        return Layout(1, 0, -1) if plain else None
    return None


def operands(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Any, Any]:
    """Return data, weight and bias of a mixing call."""
    if func in ADDMM:
        return args[1], args[2], args[0]
    weight = args[1] if len(args) > 1 else kwargs.get("weight", kwargs.get("other", kwargs.get("mat2")))
    bias = None if func in MATMUL else args[2] if len(args) > 2 else kwargs.get("bias")
    return args[0] if args else kwargs["input"], weight, bias


def conv_groups(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Return the number of conv groups of a call, 1 for anything but a convolution."""
    if func not in CONVOLUTIONS and func not in TRANSPOSED:
        return 1
    return int(args[6] if len(args) > 6 else kwargs.get("groups", 1))


def sealed(*inputs: Any) -> tuple[Any, ...]:
    """Return the inputs of a part that nobody can look into; under a probe, without the marks of channels."""
    tensors = tuple(value for value in inputs if isinstance(value, Tensor))
    if has_torch_function(tensors):
        result: tuple[Any, ...] = handle_torch_function(sealed, tensors, *inputs)
        return result
    return inputs


OPAQUE.add(sealed)


def swapped(args: tuple[Any, ...], kwargs: dict[str, Any], old: Tensor, new: Tensor) -> tuple[Any, ...]:
    """Return the arguments with one tensor exchanged; a keyword is exchanged in place."""
    for key, value in kwargs.items():
        if value is old:
            kwargs[key] = new
    return tuple(new if value is old else value for value in args)
