"""Whether two networks are one: the names and shapes of their parameters, as a short text that a plan can carry."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from torch import nn

from physprune_pl.networks.names import plain


def fingerprint(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return 16 hexadecimal digits that change with any name or shape of a parameter; the order does not matter.

    How the parameters are wired cannot be seen in it.

    >>> fingerprint({"a": (2, 3), "b": (3,)}) == fingerprint({"b": (3,), "a": (2, 3)})
    True
    """
    rows = sorted((plain(name), list(shape)) for name, shape in shapes.items())
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def checked_fingerprint(text: str) -> str:
    """Return the text if it has the form of a fingerprint.

    Raises:
        ValueError: it has not.
    """
    if not re.fullmatch("[0-9a-f]{16}", text):
        raise ValueError(f"fingerprint: expected 16 hexadecimal digits, got {text[:40]!r}")
    return text


def check_identity(expected: str, model: nn.Module) -> None:
    """Refuse a network with other parameters than the one that a plan was made for.

    Args:
        expected: the fingerprint that the plan carries; empty: nothing is compared.
        model: the network.

    Raises:
        ValueError: it has other parameters.
    """
    found = fingerprint({name: tuple(parameter.shape) for name, parameter in model.named_parameters()})
    if expected and found != expected:
        raise ValueError(
            f"plan: it was made for a network with other parameters than {type(model).__name__} has: every name and "
            f"shape must be the same (fingerprint {expected}, the model's is {found})"
        )
