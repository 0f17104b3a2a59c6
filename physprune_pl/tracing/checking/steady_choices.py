"""Choices that rounding cannot turn: of two numbers that should be equal, either may be the larger one by a last digit.

A detector orders boxes by scores, and many scores are the same but for rounding. Two networks that compute the same
would return other boxes. So what is put in order is rounded to fewer digits before, in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from physprune_pl.probing.operations.operation_rows import Argument
from physprune_pl.probing.watching.decisions import ALONG

_FEWER = {torch.float64: torch.float32, torch.float32: torch.bfloat16}
_DATA = Argument(0, ("input",))
_PLACES = {torch.argsort, Tensor.argsort, torch.argmax, Tensor.argmax, torch.argmin, Tensor.argmin}
"""What puts out places alone; so do the suppressions of overlapping boxes, which other libraries bring."""


def choose(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operation that orders numbers on rounded ones, and return the numbers as they are; None for any other."""
    if func in ALONG:
        data = _DATA.of(args, kwargs)
        output = _on_rounded(func, args, kwargs)
        return type(output)((data.gather(ALONG[func].of(args, kwargs), output[1]), output[1]))
    if func in _PLACES or getattr(func, "__name__", "") == "nms":
        return _on_rounded(func, args, kwargs)
    return None


def _on_rounded(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return func(*map(_rounded, args), **{key: _rounded(value) for key, value in kwargs.items()})


def _rounded(value: Any) -> Any:
    known = isinstance(value, Tensor) and value.dtype in _FEWER
    return value.to(_FEWER[value.dtype]).to(value.dtype) if known else value
