"""Arguments that a network is run with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from physprune_pl.networks.nested import mapped, tensors_in


@dataclass(frozen=True)
class Example:
    """Arguments a model is run with; the first dimension of every tensor is the batch.

    Attributes:
        args: positional arguments, of any kind: tensors are found in whatever holds them.
        kwargs: keyword arguments.
        whole: whether the model accepts no other number of samples.
        followers: parameter or buffer of the model that a run computes from another one -> that one.
        written: parameters and buffers that a run changes in place.
        others: parameters and buffers of the model that a run may use and that are none of the example's business.

    >>> Example.of({"x": torch.ones(4, 3)}).sized(2).kwargs["x"].shape
    torch.Size([2, 3])
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    followers: Mapping[str, str] = field(default_factory=dict)
    written: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    ends = "the model returns its channels"
    """What may be said of channels that a run puts out."""
    refusal = (
        "example_input: the model does not run on it",
        "expected inputs as the model's forward takes them, the batch first",
    )
    """What is wrong where no run succeeds, and what to do about it."""

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
        return next((len(tensor) for tensor in self._tensors() if tensor.dim()), 1)

    @property
    def alike(self) -> bool:
        """Whether all tensors have the same number of samples."""
        return len({len(tensor) for tensor in self._tensors() if tensor.dim()}) < 2

    def _tensors(self) -> list[Tensor]:
        return tensors_in((self.args, dict(self.kwargs)))

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return the example with every tensor changed."""
        args, kwargs = mapped((self.args, dict(self.kwargs)), change)
        return replace(self, args=args, kwargs=kwargs)

    def sized(self, batch: int) -> Self:
        """Return the example with ``batch`` samples: the first ones, repeated where there are too few."""
        if self.whole:
            return self

        def resize(tensor: Tensor) -> Tensor:
            if tensor.dim() == 0 or tensor.shape[0] == 0:
                return tensor
            repeats = -(-batch // tensor.shape[0])
            repeated = tensor.repeat(repeats, *[1] * (tensor.dim() - 1))[:batch]
            return repeated.contiguous(memory_format=memory_format_of(tensor))

        return self.map(resize)

    def to(self, like: nn.Module) -> Self:
        """Return the example on the device of a model's parameters."""
        device = next((parameter.device for parameter in like.parameters()), torch.device("cpu"))
        return self.map(lambda tensor: tensor.to(device))

    def run(self, model: nn.Module) -> Any:
        """Call the model; return what it puts out."""
        return model(*self.args, **self.kwargs)

    def calls(self, model: nn.Module) -> Example:  # noqa: ARG002
        """Return the calls of the model, or of its parts, that a run is made of: here the run is the call."""
        return self

    def copy(self) -> Self:
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


ExampleInput = Tensor | tuple[Any, ...] | dict[str, Any]
