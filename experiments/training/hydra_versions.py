"""What Hydra 1.3 and 1.4 want to be told differently."""

from __future__ import annotations

from typing import Any

import hydra
from hydra.utils import instantiate as _instantiate


def _trusted() -> Any:
    """Configurations may name any class, those of whoever runs the program too: they are as trusted as its code."""
    from hydra.utils import UNSAFE_DISABLE_EXECUTION_CHECKS  # type: ignore[attr-defined]

    return UNSAFE_DISABLE_EXECUTION_CHECKS


_BEFORE_1_4 = tuple(map(int, hydra.__version__.split(".")[:2])) < (1, 4)

BASE: dict[str, Any] = {"version_base": "1.3"} if _BEFORE_1_4 else {}
"""Arguments of ``compose`` and its kin: the behaviour of 1.3, which later versions have of themselves."""

MAIN: dict[str, Any] = BASE if _BEFORE_1_4 else {"execution_whitelist": _trusted()}
"""Arguments of ``hydra.main``."""


def instantiate(node: Any, **arguments: Any) -> Any:
    """Build what a node of a configuration describes, in any version.

    Args:
        node: a mapping with ``_target_``, or anything else, which is returned as it is.
        arguments: more of the target's arguments.

    >>> instantiate({"_target_": "fractions.Fraction", "numerator": 1}, denominator=3)
    Fraction(1, 3)
    """
    trust = {} if _BEFORE_1_4 else {"_execution_whitelist_": _trusted()}
    return _instantiate(node, **trust, **arguments)
