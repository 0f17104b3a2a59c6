"""One call of an operation, read by the row of the table that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

from physprune_pl.probing.operations.operation_rows import Argument, Operation
from physprune_pl.probing.operations.operations import operation_of
from physprune_pl.probing.watching.tainting import cleaned

Row = TypeVar("Row", bound=Operation, covariant=True)


@dataclass(slots=True)
class Invocation(Generic[Row]):
    """A call of an operation.

    Attributes:
        row: how it is watched.
        func, args, kwargs: the call.

    >>> import torch
    >>> call = invocation(torch.amax, (torch.ones(2, 3), 1), {"keepdim": True})
    >>> call.data.shape, call.get(call.row.axis), call.run().shape
    (torch.Size([2, 3]), 1, torch.Size([2, 1]))
    """

    row: Row
    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def data(self) -> Any:
        """The argument that holds the channels."""
        return self.row.data.of(self.args, self.kwargs)

    def get(self, argument: Argument) -> Any:
        """Return an argument."""
        return argument.of(self.args, self.kwargs)

    def run(self) -> Any:
        """Make the call."""
        return self.func(*self.args, **self.kwargs)

    def run_clean(self) -> Any:
        """Make the call on data without NaN."""
        data = self.data
        return self.swapped(data, cleaned(data)).run()

    def swapped(self, old: Tensor, new: Tensor) -> Invocation[Row]:
        """Return the call with one tensor exchanged, wherever it stands."""
        args = tuple(new if value is old else value for value in self.args)
        return Invocation(self.row, self.func, args, {k: new if v is old else v for k, v in self.kwargs.items()})


def invocation(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Invocation[Any]:
    """Return a call with the row that it belongs to."""
    return Invocation(operation_of(func).in_call(args, kwargs), func, args, kwargs)
