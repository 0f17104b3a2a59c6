"""Which numbers of channels a device likes."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

from physprune_pl.latency.layers import LayerShape

MULTIPLES = (1, 2, 4, 8, 16, 32)
WIDTHS = range(64, 129)
SLACK = 0.03
"""A larger multiple must save more than this share of the time per channel."""

Time = Callable[[LayerShape], float]


def liked(time: Time) -> int:
    """Return the smallest multiple whose numbers of channels take hardly longer per channel than those of any other.

    Square layers, a convolution and a linear one, of 64 to 128 channels are timed; the time of a layer is divided by
    the square of its channels, and a multiple stands for the mean over the numbers that are one.

    Args:
        time: milliseconds of a layer.

    >>> def in_eights(shape: LayerShape) -> float:
    ...     return float((-(-shape.weight[0] // 8)) ** 2)
    >>> liked(in_eights)
    8
    """
    found = [_by_multiple(time, shape) for shape in (_convolution, _linear)]
    dearest = {multiple: max(one[multiple] for one in found) for multiple in MULTIPLES}
    best = min(dearest.values())
    return next(multiple for multiple in MULTIPLES if dearest[multiple] <= (1.0 + SLACK) * best)


def _by_multiple(time: Time, shape: Callable[[int], LayerShape]) -> dict[int, float]:
    """Time per weight of the numbers that are a multiple, as a share of that of all numbers."""
    each = {width: time(shape(width)) / width**2 for width in WIDTHS}
    usual = fmean(each.values())
    return {one: fmean(each[width] for width in WIDTHS if width % one == 0) / usual for one in MULTIPLES}


def _convolution(width: int) -> LayerShape:
    options = (("stride", 1), ("padding", 1), ("dilation", 1))
    return LayerShape("conv2d", (8, width, 14, 14), (width, width, 3, 3), options=options)


def _linear(width: int) -> LayerShape:
    return LayerShape("linear", (1024, width), (width, width))
