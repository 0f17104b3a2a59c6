"""What a row of the table of operations may say: how an operation is watched, and which argument is what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

from physprune_pl.probing.operations.transposes import transposed_parameter


@dataclass(frozen=True, slots=True)
class Argument:
    """Where an argument of an operation stands.

    Attributes:
        place: its position.
        names: keywords that it has, in one operation or another.
        default: its value where it is not given.

    >>> axis = Argument(1, ("dim", "axis"), -1)
    >>> axis.of(("data", 2), {}), axis.of(("data",), {"axis": 3}), axis.of(("data",), {})
    (2, 3, -1)
    """

    place: int
    names: tuple[str, ...] = ()
    default: Any = None

    def of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return the argument of a call."""
        if self.place < len(args):
            return args[self.place]
        return next((kwargs[name] for name in self.names if name in kwargs), self.default)


@dataclass(frozen=True)
class Layout:
    """How one kind of call stores its weight: dimension of outputs and inputs, axis of the channels in the data."""

    output_dim: int
    input_dim: int
    axis: int
    transposed: bool = False


@dataclass(frozen=True)
class Operation:
    """How an operation is watched: it lets NaN pass as it does, unless its row is of a kind that says more.

    Attributes:
        data: the argument that holds the channels.
        carries: where parameters and buffers among its arguments lie along its output: from the axis of the channels
            on, or up to its last axis. None: nowhere in particular, so that their own entries have to be followed.
        makes_weights: whether its output may stand for a parameter, none of whose numbers it moves.
        by_element: what it is of two tensors, element by element.
    """

    data: Argument = Argument(0, ("input",))
    carries: Literal["from the channels", "up to the end"] | None = None
    makes_weights: bool = False
    by_element: Literal["product", "quotient"] | None = None

    def in_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation:  # noqa: ARG002
        """Return how one call is watched: as the row says, unless its kind tells calls apart."""
        return self


@dataclass(frozen=True)
class Opaque(Operation):
    """Nobody can look into it: what goes in stays whole, what comes out is clean."""


@dataclass(frozen=True)
class LooksUp(Operation):
    """Puts out rows of a weight, whose columns are channels."""

    weight: Argument = Argument(1, ("weight",))


@dataclass(frozen=True)
class Mixes(Operation):
    """Mixes the channels of the last axis with a weight.

    Attributes:
        weight, bias: the arguments.
        output_dim: dimension of the weight that holds the outputs; the other one of the first two holds the inputs.
    """

    weight: Argument = Argument(1, ("weight",))
    bias: Argument | None = Argument(2, ("bias",))
    output_dim: int = 0

    def layout(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Layout:
        """Return how a call stores its weight; of a transposed one, how that is stored."""
        turned = transposed_parameter(self.weight.of(args, kwargs)) is not None
        output_dim = 1 - self.output_dim if turned else self.output_dim
        return Layout(output_dim, 1 - output_dim, -1)

    def groups(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:  # noqa: ARG002
        """Return the number of conv groups of a call."""
        return 1

    def operands(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """Return data, weight and bias of a call."""
        bias = None if self.bias is None else self.bias.of(args, kwargs)
        return self.data.of(args, kwargs), self.weight.of(args, kwargs), bias


@dataclass(frozen=True)
class Convolves(Mixes):
    """Mixes the channels of the axis before those that its window slides along.

    Attributes:
        conv_groups: the argument that counts conv groups.
    """

    conv_groups: Argument = Argument(6, ("groups",), 1)

    @property
    def transposed(self) -> bool:
        """Whether a transposed convolution."""
        return self.output_dim == 1

    def layout(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Layout:
        """Return how a call stores its weight."""
        axis = 1 - self.weight.of(args, kwargs).dim()
        return Layout(self.output_dim, 1 - self.output_dim, axis, self.transposed)

    def groups(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
        """Return the number of conv groups of a call."""
        return int(self.conv_groups.of(args, kwargs))


@dataclass(frozen=True)
class Multiplies(Mixes):
    """Multiplies matrices: channels with a weight where the right one is a parameter and the left one is not.

    Attributes:
        otherwise: how any other product is watched.
    """

    output_dim: int = 1
    otherwise: Operation = field(default_factory=Operation)

    def in_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation:
        """Return how one call is watched."""
        data, weight, _ = self.operands(args, kwargs)
        matrix = isinstance(weight, nn.Parameter) and weight.dim() == 2
        stored = matrix or transposed_parameter(weight) is not None
        return self if stored and not isinstance(data, nn.Parameter) else self.otherwise


@dataclass(frozen=True)
class Norm(Operation):
    """Norm over channels.

    Attributes:
        scale, shift: the arguments with a number for every channel.
    """

    scale: Argument = Argument(2, ("weight",))
    shift: Argument = Argument(3, ("bias",))

    def tensors(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
        """Return scale and shift of a call, as far as it has them."""
        found = (part.of(args, kwargs) for part in (self.scale, self.shift))
        return [value for value in found if isinstance(value, Tensor) and value.dim() > 0]

    def first_axis(self, data: Tensor, dims: int) -> int:  # noqa: ARG002
        """Return the axis of the data, counted from its end, that the first of the dimensions of a scale lies along."""
        return -dims


@dataclass(frozen=True)
class NormOfShape(Norm):
    """Norm over the last axes: as many as its shape has."""

    shape: Argument = Argument(1, ("normalized_shape",))


@dataclass(frozen=True)
class NormOfGroups(Norm):
    """Norm over groups of channels of axis 1 and all axes behind it."""

    count: Argument = Argument(1, ("num_groups",))

    def first_axis(self, data: Tensor, dims: int) -> int:  # noqa: ARG002
        """Return the axis of the data, counted from its end, that a scale lies along."""
        return 1 - data.dim()


@dataclass(frozen=True)
class Statistic(Operation):
    """Takes something over an axis.

    Attributes:
        axis: the argument that names the axis, or axes.
        exact: whether channels that are zero do not count.
        same_shape: whether the result has an entry for every channel, as that of a division by their length has.
    """

    axis: Argument = Argument(1, ("dim", "axis"))
    exact: bool = False
    same_shape: bool = False

    def axes(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[int, ...]:
        """Return the axes of a call, counted from the end; none of what is taken over all."""
        data, given = self.data.of(args, kwargs), self.axis.of(args, kwargs)
        found = given if isinstance(given, list | tuple) else (given,)
        if not all(isinstance(axis, int) and not isinstance(axis, bool) for axis in found):
            return ()
        return tuple(axis % data.dim() - data.dim() for axis in found)


@dataclass(frozen=True)
class Attention(Operation):
    """Attention in one call, by head."""

    query: Argument = Argument(0, ("query",))
    key: Argument = Argument(1, ("key",))
    value: Argument = Argument(2, ("value",))
    mask: Argument = Argument(3, ("attn_mask",))


@dataclass(frozen=True)
class ActivationProduct(Operation):
    """Product of two stacks of matrices, by head where both are activations."""

    other: Argument = Argument(1, ("other", "mat2"))


@dataclass(frozen=True)
class Softmax(Operation):
    """Softmax, of scores of heads for instance."""


@dataclass(frozen=True)
class LengthsTimesDirections(Operation):
    """Weight norm: computes a weight from directions and lengths."""

    length: Argument = Argument(1, ("g",))
    axis: Argument = Argument(2, ("dim",), 0)


@dataclass(frozen=True)
class Creation(Operation):
    """Makes a tensor of given sizes, which are its first arguments, or those after the tensor whose method it is."""

    method: bool = False


@dataclass(frozen=True)
class Assignment(Operation):
    """Writes something into entries of its data, and returns nothing.

    Attributes:
        value: the argument that is written.
    """

    value: Argument = Argument(2)


@dataclass(frozen=True)
class Quantisation(Operation):
    """Lets a tensor pass that belongs together with vectors along one of its axes."""
