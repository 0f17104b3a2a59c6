"""What the training of a pruned network cost: seconds of each phase and shares of the whole."""

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
