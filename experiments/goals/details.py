"""Targets in latency, memory and the profile as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from physprune_pl.reports.tables import markdown

Row = Mapping[str, Any]
MIB = 2**20


def latencies(rows: Sequence[Row]) -> str:
    """Return what targets in latency asked for, predicted and got; empty when none was tried.

    >>> latencies([])
    ''
    """
    found = [(row, asked, one) for row in rows if "asked" in row for asked, one in row["asked"].items()]
    if not found:
        return ""
    head = ("network", "batch", "time asked for", "predicted", "measured", "MACs left", "planned in, s")
    return "\n" + markdown(head, [_latency(*one) for one in found])


def _latency(row: Row, asked: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    shares = [f"{found[key]:.1%}" if key in found else "-" for key in ("predicted", "measured", "macs")]
    return (row["network"], str(row["batch"]), f"{float(asked):.1%}", *shares, f"{found['seconds']:.0f}")


def memory(rows: Sequence[Row]) -> str:
    """Return what each stage added to the memory of its process; empty when no stage was measured.

    >>> memory([])
    ''
    """
    found = [row for row in rows if "rise" in row]
    if not found:
        return ""
    head = ("network", "stage", "added at most, MiB: median", "of each process", "peak of the process", "parameters")
    return "\n" + markdown(head, [_memory(row) for row in found])


def _memory(row: Row) -> tuple[str, ...]:
    each = ", ".join(_mib(value) for value in row["rises"])
    peaks = f"{_mib(min(row['peaks']))} to {_mib(max(row['peaks']))}"
    stage = row["way"].removeprefix("memory: ")
    return (row["network"], stage, _mib(row["rise"]), each, peaks, _mib(row["parameters_bytes"]))


def _mib(value: float) -> str:
    return f"{value / MIB:.0f}"


def operations(rows: Sequence[Row]) -> str:
    """Return the slowest operations of the profiled networks; empty when none was profiled.

    >>> operations([])
    ''
    """
    return "".join("\n" + _operations(row) for row in rows if "operations" in row)


def _operations(row: Row) -> str:
    names = list(row["total"])
    head = (f"{row['network']}, batch {row['batch']}", *(f"{name}, ms" for name in names), *_faster_head(names))
    lines = {**row["operations"], "all": row["total"]}
    return markdown(head, [_times(operation, times, names) for operation, times in lines.items()])


def _faster_head(names: Sequence[str]) -> list[str]:
    return [f"{name}, faster" for name in names[1:]]


def _times(operation: str, times: Mapping[str, float], names: Sequence[str]) -> tuple[str, ...]:
    found = [times.get(name) for name in names]
    milliseconds = ["-" if value is None else f"{value:.1f}" for value in found]
    dense = times[names[0]]
    faster = [f"{dense / value:.2f}x" if value else "-" for value in found[1:]]
    return (f"`{operation}`" if "::" in operation else operation, *milliseconds, *faster)


def apart(rows: Sequence[Row]) -> str:
    """Return what the tracker's and the job's time go to; empty where neither was taken apart.

    >>> apart([])
    ''
    """
    text = ""
    for row in rows:
        if "tracker_apart" in row:
            lines = [(name, f"{milliseconds:.0f}") for name, milliseconds in row["tracker_apart"].items()]
            text += "\n" + markdown((f"{row['network']}: tracker", "ms of an epoch"), lines)
        if "job_apart" in row:
            lines = [(name, f"{share:.2f}") for name, share in row["job_apart"].items()]
            text += "\n" + markdown((f"{row['network']}: whole job", "share of as many dense epochs"), lines)
    return text
