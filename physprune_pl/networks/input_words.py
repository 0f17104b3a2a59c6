"""What a network is called with, as the words of the command line's option ``--input``."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from physprune_pl.networks.calls import Call, Calls
from physprune_pl.networks.example import Example

DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64, "bool": torch.bool}
"""The dtypes that a word may name."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def called_part(example: Example) -> tuple[str, Example] | None:
    """Return the path of the one part of a network that an example calls, and with what; None where it is not one.

    >>> called_part(Calls((Call("net", "__call__", (torch.zeros(8, 4),)),)))[0]
    'net'
    """
    if type(example) is Example:
        return "", example
    calls = [call for call in example.args if isinstance(call, Call)] if isinstance(example, Calls) else []
    parts = {call.part for call in calls}
    if len(parts) != 1 or None in parts or len(calls) != len(example.args):
        return None
    first = calls[0]
    return first.part or "", Example(first.args, first.kwargs, whole=example.whole)


def input_words(example: Example) -> tuple[str, ...]:
    """Return one word for each tensor, for one sample where the network takes any number; none where words fail.

    Words fail for arguments that are no tensors.

    >>> input_words(Example.of(torch.zeros(8, 3, 32, 32))), input_words(Example.of({"ids": torch.ones(8, 16).long()}))
    (('1,3,32,32',), ('ids=1,16:int64',))
    """
    values = [*example.args, *example.kwargs.values()]
    if not all(isinstance(value, Tensor) and value.dtype in _NAMES for value in values):
        return ()
    return tuple(_words(example, one_sample=not example.whole and example.alike))


def _words(example: Example, one_sample: bool) -> Iterator[str]:
    for name, tensor in [*(("", value) for value in example.args), *example.kwargs.items()]:
        sizes = [1, *tensor.shape[1:]] if one_sample and tensor.dim() else tensor.shape
        dtype = "" if tensor.dtype == torch.float32 else f":{_NAMES[tensor.dtype]}"
        yield f"{f'{name}=' if name else ''}{','.join(map(str, sizes))}{dtype}"
