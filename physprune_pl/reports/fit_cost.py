"""What the training of a pruned network cost: seconds of each phase, shares of the whole, epochs of the dense one."""

from __future__ import annotations

from collections.abc import Mapping

HEAD = ("phase", "seconds", "share", "peak memory")


def cost_rows(seconds: Mapping[str, float], peaks: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Return one row for each phase and one for all of them, under :data:`HEAD`.

    Args:
        seconds: phase -> wall time.
        peaks: phase -> most memory, in words.

    >>> cost_rows({"sparsify": 7.5, "finetune": 2.5}, {"sparsify": "1.20 GB"})[::2]
    [('sparsify', '7.5', '75 %', '1.20 GB'), ('all', '10.0', '100 %', '-')]
    """
    whole = sum(seconds.values())
    rows = {**seconds, "all": whole} if len(seconds) > 1 else seconds
    return [(name, f"{value:.1f}", _share(value, whole), peaks.get(name, "-")) for name, value in rows.items()]


def _share(value: float, whole: float) -> str:
    return f"{100 * value / whole:.0f} %" if whole else "-"


def in_dense_epochs(seconds: Mapping[str, float], epochs: Mapping[str, int]) -> str:
    """Say how many epochs of the first phase would have taken as long; empty where that is not known.

    The network is dense then, unless it is cut in waves, and the penalty is a small part of the time.

    >>> in_dense_epochs({"trace": 1.0, "sparsify": 60.0, "finetune": 11.0}, {"sparsify": 30, "finetune": 10})
    'As long as 36.0 epochs of the sparsify phase, which took 2 s each.'
    """
    count, took = epochs.get("sparsify", 0), seconds.get("sparsify", 0.0)
    if not count or not took:
        return ""
    each = took / count
    return f"As long as {sum(seconds.values()) / each:.1f} epochs of the sparsify phase, which took {each:.2g} s each."
