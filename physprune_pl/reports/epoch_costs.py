"""What training a network that shrinks has cost, beside as many epochs of the dense one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median


def shares_of_dense(epochs: Mapping[str, Sequence[float]], dense: float) -> dict[str, float]:
    """Return the cost of all epochs over that of as many dense ones: by MACs, and by time where both were trained.

    The time of a dense epoch is the median of those at full width; the first one, which traces the network, counts
    only where it is the only one.

    Args:
        epochs: ``macs`` of one sample and ``seconds``, a number per epoch each.
        dense: MACs of one sample in the dense network.

    >>> shares_of_dense({"macs": [10, 10, 10, 4], "seconds": [9.0, 4.0, 4.0, 3.0]}, dense=10)
    {'MACs': 0.85, 'time': 1.25}
    """
    macs, seconds = epochs.get("macs", ()), epochs.get("seconds", ())
    if not macs or not dense:
        return {}
    found = {"MACs": sum(macs) / (len(macs) * dense)}
    whole = [time for cost, time in zip(macs, seconds, strict=True) if cost == dense]
    if 0 < len(whole) < len(macs):
        found["time"] = sum(seconds) / (len(macs) * median(whole[1:] or whole))
    return found
