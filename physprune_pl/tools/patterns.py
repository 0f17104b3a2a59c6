"""Names and regular expressions of modules, as users write them."""

from __future__ import annotations

import re


def compiled(argument: str, pattern: object) -> re.Pattern[str]:
    """Return a regular expression, compiled.

    Raises:
        ValueError: it is none; the message names the argument.

    >>> compiled("ignore", r"layer4\\..*").fullmatch("layer4.0.conv1") is not None
    True
    """
    if isinstance(pattern, re.Pattern):
        return pattern
    try:
        return re.compile(pattern)  # type: ignore[call-overload, no-any-return]
    except (re.error, TypeError) as error:
        raise ValueError(f"{argument}: expected a name or a regular expression, got {pattern!r}: {error}") from error
