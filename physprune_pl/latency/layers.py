"""Layers as a device meets them: what a network's convolutions and linear layers are called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from physprune_pl.networks.example import Example, memory_format_of
from physprune_pl.networks.isolation import set_training, untouched
from physprune_pl.networks.names import named_tensors
from physprune_pl.probing.operations.operation_rows import Convolves
from physprune_pl.probing.operations.operations import layout_of, operands, operation_of
from physprune_pl.probing.preparing.traceable import traceable

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of a layer's rows and columns that are timed, besides a single one."""

_CALLS: Mapping[str, Callable[..., Tensor]] = {
    "linear": F.linear,
    "matmul": torch.matmul,
    **{f"conv{dims}d": getattr(F, f"conv{dims}d") for dims in (1, 2, 3)},
    **{f"conv_transpose{dims}d": getattr(F, f"conv_transpose{dims}d") for dims in (1, 2, 3)},
}
_CONVOLUTION = ("stride", "padding", "dilation", "groups")
_TRANSPOSED = ("stride", "padding", "output_padding", "groups", "dilation")


@dataclass(frozen=True)
class LayerShape:
    """One call of a convolution or a linear layer, without its numbers.

    Attributes:
        kind: ``"linear"``, ``"matmul"``, ``"conv2d"``, ``"conv_transpose2d"`` and so on.
        data: shape of the input, the batch first.
        weight: shape of the weight.
        output_dim: dimension of the weight that holds the rows, the output channels (of one conv group where the
            convolution is transposed).
        groups: number of conv groups.
        options: the other arguments of the call, name and value, such as ``(("stride", (2, 2)),)``.
        channels_last: whether input and weight are stored with the channels last.

    >>> LayerShape("linear", (1, 8), (4, 8)).key
    'linear 1x8 4x8'
    """

    kind: str
    data: tuple[int, ...]
    weight: tuple[int, ...]
    output_dim: int = 0
    groups: int = 1
    options: tuple[tuple[str, Any], ...] = ()
    channels_last: bool = False

    @property
    def key(self) -> str:
        """Everything about the call as one line."""
        options = [f"{name}={_word(value)}" for name, value in self.options]
        groups = [f"groups={self.groups}"] if self.groups > 1 else []
        last = ["channels_last"] if self.channels_last else []
        return " ".join([self.kind, _sizes(self.data), _sizes(self.weight), *options, *groups, *last])

    @property
    def input_dim(self) -> int:
        """Dimension of the weight that holds the columns."""
        return 1 - self.output_dim

    @property
    def rows(self) -> tuple[int, ...]:
        """Numbers of rows to time, ascending; all of them only where a conv group's rows cannot shrink."""
        return self._steps(self.output_dim)

    @property
    def columns(self) -> tuple[int, ...]:
        """Numbers of columns to time, likewise."""
        return self._steps(self.input_dim)

    def _steps(self, dim: int) -> tuple[int, ...]:
        """Grouped convolutions lose whole conv groups, which are counted by the first dimension of the weight."""
        size = self.weight[dim]
        if self.groups == 1:
            return tuple(sorted({1, *(max(1, round(share * size)) for share in SHARES)}))
        if dim == 1:
            return (size,)
        unit = size // self.groups
        return tuple(unit * count for count in sorted({1, *(max(1, round(s * self.groups)) for s in SHARES)}))

    def at(self, rows: int, columns: int) -> LayerShape:
        """Return the same call with fewer rows and columns."""
        weight, data = list(self.weight), list(self.data)
        weight[self.output_dim], weight[self.input_dim] = rows, columns
        groups = max(1, self.groups * weight[0] // self.weight[0])
        axis = -1 if self.kind in ("linear", "matmul") else len(data) + 1 - len(weight)
        data[axis] = columns * groups if self.groups > 1 and self.output_dim == 0 else columns
        return replace(self, data=tuple(data), weight=tuple(weight), groups=groups)

    def call(self, device: torch.device, dtype: torch.dtype) -> Callable[[], Tensor]:
        """Return the call itself, on random numbers."""
        data, weight = (self._random(shape, device, dtype) for shape in (self.data, self.weight))
        options = dict(self.options) | ({"groups": self.groups} if self.kind.startswith("conv") else {})
        return lambda: _CALLS[self.kind](data, weight, **options)

    def _random(self, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
        tensor = torch.randn(shape, device=device).to(dtype)
        if not self.channels_last or len(shape) not in (4, 5):
            return tensor
        return tensor.to(memory_format=torch.channels_last if len(shape) == 4 else torch.channels_last_3d)


@dataclass(frozen=True)
class Layer:
    """A layer of a network: the path of its weight, its call, and the numbers that one row of it puts out."""

    weight: str
    shape: LayerShape
    outputs: float


def layers_of(model: nn.Module, example: Example) -> list[Layer]:
    """Run a network once in eval mode and return every call of a convolution or linear layer with a weight of its own.

    Raises:
        ValueError: the network does not run on the example.
    """
    recorder = _Recorder(model)
    with untouched(model), traceable(model), set_training(model, False):
        try:
            calls = example.copy().calls(model)
            with recorder:
                calls.run(model)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise ValueError(
                f"batch_size: the network does not run on {example.batch} samples of the example input ({error}); "
                "give a Stopwatch with a batch_size that it runs on"
            ) from error
    return recorder.layers


class _Recorder(TorchFunctionMode):
    """Notes the layers that a network calls."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._names = {id(tensor): name for name, tensor in named_tensors(model).items()}
        self.layers: list[Layer] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, and note it if it is a layer."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        layout = layout_of(func, args, kwargs)
        if layout is not None:
            data, weight, _ = operands(func, args, kwargs)
            if (name := self._names.get(id(weight))) is not None:
                shape = _shape(func, data, weight, layout.output_dim, _options(func, args, kwargs))
                self.layers.append(Layer(name, shape, result.numel() / weight.shape[layout.output_dim]))
        return result


def _shape(
    func: Callable[..., Any], data: Tensor, weight: Tensor, output_dim: int, options: dict[str, Any]
) -> LayerShape:
    groups = int(options.pop("groups", 1))
    row = operation_of(func)
    kind = _convolution(row, weight) if isinstance(row, Convolves) else "matmul" if output_dim else "linear"
    last = any(memory_format_of(tensor) is not torch.contiguous_format for tensor in (data, weight))
    return LayerShape(kind, tuple(data.shape), tuple(weight.shape), output_dim, groups, tuple(options.items()), last)


def _convolution(row: Convolves, weight: Tensor) -> str:
    return f"conv{'_transpose' if row.transposed else ''}{weight.dim() - 2}d"


def _options(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a convolution is called with besides its tensors, defaults included; nothing for any other layer."""
    row = operation_of(func)
    if not isinstance(row, Convolves):
        return {}
    names = _TRANSPOSED if row.transposed else _CONVOLUTION
    given = dict(zip(names, args[3:], strict=False)) | {name: kwargs[name] for name in names if name in kwargs}
    defaults = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
    values = {name: given.get(name, defaults[name]) for name in names}
    return {name: tuple(value) if isinstance(value, list | tuple) else value for name, value in values.items()}


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _word(value: Any) -> str:
    return _sizes(value) if isinstance(value, tuple) else str(value)
