"""What a cut did that it should not have done, in words for who wrote the network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from physprune_pl.networks.names import named_tensors, plain
from physprune_pl.tools.user_code import line_of_error

CHANGES = "once cut, it changes"
_LONGEST = 160


def failed(error: Exception) -> str:
    """Say where a cut network raised an error, and which."""
    words = " ".join(str(error).split())
    said = f"{type(error).__name__}: {words if len(words) <= _LONGEST else words[: _LONGEST - 3] + '...'}"
    line = line_of_error(error)
    where = f" at {line}" if line else ""
    why = "a size there does not follow the cut: a number in the code or the config, or what was made for another layer"
    return f"once cut, it raises an error{where} ({said}); {why}"


def differs(cut: nn.Module, weights: Sequence[Tensor], alike: Sequence[bool]) -> str:
    """Say from which layer on a cut network computes something else.

    Args:
        cut: the cut network.
        weights: what its layers mixed channels with, in the order of their calls.
        alike: whether each of them put out what it should.
    """
    names = {id(tensor): plain(name) for name, tensor in named_tensors(cut).items()}
    first = next((weight for weight, same in zip(weights, alike, strict=False) if not same), None)
    layer = names.get(id(first), "").rpartition(".")[0]
    where = f"what reaches {layer}" if layer else "what the model returns"
    why = "its code depends on the number or the order of its channels"
    return f"{CHANGES} {where} by more than the removed channels: {why}"
