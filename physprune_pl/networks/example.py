"""Arguments that a network is run with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Example:
    """Arguments a model is run with; the first dimension of every tensor is the batch.

    >>> Example.of({"x": torch.ones(4, 3)}).sized(2).kwargs["x"].shape
    torch.Size([2, 3])
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, example_input: object) -> Example:
        """Read an example input: a tensor, a tuple or list of positional arguments, or a dict of keywords.

        Raises:
            TypeError: the example input is anything else.
        """
        if isinstance(example_input, Example):
            return example_input
        if isinstance(example_input, Tensor):
            return cls((example_input,))
        if isinstance(example_input, tuple | list):
            return cls(tuple(example_input))
        if isinstance(example_input, Mapping):
            return cls((), dict(example_input))
        raise TypeError(
            "example_input: expected a tensor, a tuple of positional arguments or a dict of keyword arguments, "
            f"got {type(example_input).__name__}"
        )

    @property
    def batch(self) -> int:
        """Number of samples: the length of the first tensor that has one, else 1."""
        leaves = torch.utils._pytree.tree_leaves((self.args, dict(self.kwargs)))
        return next((len(value) for value in leaves if isinstance(value, Tensor) and value.dim()), 1)

    def map(self, change: Callable[[Tensor], Tensor]) -> Example:
        """Return the example with every tensor changed."""
        args, kwargs = torch.utils._pytree.tree_map(
            lambda value: change(value) if isinstance(value, Tensor) else value, (self.args, dict(self.kwargs))
        )
        return Example(args, kwargs)

    def sized(self, batch: int) -> Example:
        """Return the example with ``batch`` samples: the first ones, repeated where there are too few."""

        def resize(tensor: Tensor) -> Tensor:
            if tensor.dim() == 0 or tensor.shape[0] == 0:
                return tensor
            repeats = -(-batch // tensor.shape[0])
            repeated = tensor.repeat(repeats, *[1] * (tensor.dim() - 1))[:batch]
            return repeated.contiguous(memory_format=memory_format_of(tensor))

        return self.map(resize)

    def to(self, like: nn.Module) -> Example:
        """Return the example on the device of a model's parameters."""
        device = next((parameter.device for parameter in like.parameters()), torch.device("cpu"))
        return self.map(lambda tensor: tensor.to(device))

    def run(self, model: nn.Module) -> Any:
        """Call the model."""
        return model(*self.args, **self.kwargs)

    def copy(self) -> Example:
        """Return the example with copied tensors, for a model that may change its input in place."""
        return self.map(torch.Tensor.clone)


def memory_format_of(tensor: Tensor) -> torch.memory_format:
    """Return how a tensor is stored, for a copy to be stored likewise: its channels last, or its dimensions in order.

    >>> memory_format_of(torch.zeros(1, 2, 3, 3).to(memory_format=torch.channels_last))
    torch.channels_last
    """
    for dims, form in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if tensor.dim() == dims and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=form):
            return form
    return torch.contiguous_format


class WholeExample(Example):
    """An example whose batch cannot be changed, because the model accepts no other."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Example:
        """Return the example with every tensor changed; its batch stays as it is."""
        changed = super().map(change)
        return WholeExample(changed.args, changed.kwargs)

    def sized(self, batch: int) -> Example:  # noqa: ARG002 - the batch is what it is
        """Return the example itself."""
        return self


ExampleInput = Tensor | tuple[Any, ...] | dict[str, Any]
