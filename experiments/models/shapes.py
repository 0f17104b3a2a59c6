"""Shape of the examples that a network is built for."""

from __future__ import annotations

Shape = tuple[int, int, int]
