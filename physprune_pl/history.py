"""The history of the channels of a run: how it grows, how it lies in a file, and how it reads as a table.

A file of :class:`~physprune_pl.ChannelTracker` is a plain ``.npz``: ``numpy.load`` shows the arrays that
:meth:`ChannelHistory.arrays` describes, :func:`load_history` and :func:`load_filters` the same as tables.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physprune_pl.tools.files import replaced

History = Mapping[str, NDArray[Any]]
Row = NDArray[np.float32]

# The first of each is there whenever one of the others is.
CHANNEL_SERIES = ("strength", "distance", "coefficient")
FILTER_SERIES = ("l1", "l2")

PLANNED = "planned"
"""Series of the line that steering follows: the share of their first strength that channels to be cut should have."""

MANTISSA_BITS = 10
"""Binary digits kept after the leading one: a stored value is within a share of 2^-11 (0.05 %) of the true one."""

# Rounding leaves what even the quickest level finds: level 6 takes seven times as long and saves 7 % of the size.
COMPRESSION_LEVEL = 1


class ChannelHistory:
    """Everything recorded in a run, epoch by epoch.

    Values are rounded to :data:`MANTISSA_BITS` as they come in, so that memory, file and checkpoint hold the same.
    """

    def __init__(self) -> None:
        self._epochs: list[int] = []
        self._phases: list[str] = []
        self._rows: list[dict[str, Row]] = []
        self._encoded: bytes | None = None

    def append(self, epoch: int, phase: str, rows: Mapping[str, Row]) -> None:
        """Add an epoch.

        Args:
            epoch: its number.
            phase: ``"sparsify"`` or ``"finetune"``.
            rows: name of a series -> its values by original index, see :func:`spread`.
        """
        self._epochs.append(epoch)
        self._phases.append(phase)
        self._rows.append({name: rounded(row) for name, row in rows.items()})
        self._encoded = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays.

        Returns:
            ``epochs`` [E], integers, and ``phases`` [E], strings; per group ``strength/<group>``,
            ``distance/<group>`` and ``coefficient/<group>``, each [E, K], and per layer ``l1/<layer>`` and
            ``l2/<layer>``, each [E, filters], all float32. Columns are original indices; NaN where there was no value.
            Of a steered run also ``chosen/<group>`` [E, K], ``group_coefficient/<group>``, ``remaining/<group>`` and
            ``planned``, each [E, 1], see :func:`~physprune_pl.callbacks.tracker.epoch_rows.epoch_rows`.
        """
        names = sorted({name for row in self._rows for name in row})
        return {
            "epochs": np.array(self._epochs, dtype=np.int64),
            "phases": np.array(self._phases, dtype=np.str_),
            **{name: self._stack(name) for name in names},
        }

    def _stack(self, name: str) -> NDArray[np.float32]:
        """Return one series of all epochs, [E, original size]."""
        width = max(len(row[name]) for row in self._rows if name in row)
        # By column: the values of one channel are alike from epoch to epoch, and side by side they compress better.
        table = np.full((len(self._rows), width), np.nan, dtype=np.float32, order="F")
        for target, row in zip(table, self._rows, strict=True):
            if name in row:
                target[: len(row[name])] = row[name]
        return table

    def encode(self) -> bytes:
        """Return the content of an ``.npz`` file with :meth:`arrays`; equal histories give equal bytes."""
        if self._encoded is None:
            self._encoded = _npz(self.arrays())
        return self._encoded

    @classmethod
    def decode(cls, content: bytes) -> ChannelHistory:
        """Return the history whose :meth:`encode` gave these bytes."""
        history = cls()
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = dict(stored)
        history._epochs, history._phases = arrays.pop("epochs").tolist(), arrays.pop("phases").tolist()
        places = range(len(history._epochs))
        history._rows = [{name: table[place].copy() for name, table in arrays.items()} for place in places]
        return history

    def save(self, path: Path) -> None:
        """Write the file in one piece: a reader, or whoever comes after a crash, finds the old one or the new one."""
        with replaced(path) as part:
            part.write_bytes(self.encode())


def spread(values: NDArray[Any], places: Sequence[int]) -> Row:
    """Return values by original index, NaN between them.

    >>> spread(np.array([5.0, 7.0]), places=(0, 2))
    array([ 5., nan,  7.], dtype=float32)
    """
    row = np.full(max(places) + 1, np.nan, dtype=np.float32)
    row[list(places)] = values
    return row


def rounded(values: Row) -> Row:
    """Round to :data:`MANTISSA_BITS` binary digits, to even at a tie, any shape; what is not finite stays.

    >>> rounded(np.array([0.1, 1000.3], dtype=np.float32)).tolist()
    [0.0999755859375, 1000.5]
    """
    drop = np.uint32(np.finfo(np.float32).nmant - MANTISSA_BITS)
    one = np.uint32(1)
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    # Half a unit of the last digit kept, less one where that digit is even, so that a tie falls to the even side.
    half = (one << (drop - one)) - one + ((bits >> drop) & one)
    return np.where(np.isfinite(values), ((bits + half) >> drop << drop).view(np.float32), values)


def _npz(arrays: History) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            # An entry made by hand carries no time of day.
            entry = zipfile.ZipInfo(f"{name}.npy")
            archive.writestr(entry, member.getbuffer(), zipfile.ZIP_DEFLATED, COMPRESSION_LEVEL)
    return content.getvalue()


def load_history(path: str | os.PathLike[str]) -> NDArray[np.void]:
    """Read a file of the tracker as :func:`channel_table`; ``pandas.DataFrame(load_history(path))`` takes it.

    Args:
        path: the file, ``channels.npz`` in the folder of a run unless the tracker was given another.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file is none of the tracker's.
    """
    return channel_table(read_arrays(path))


def load_filters(path: str | os.PathLike[str]) -> NDArray[np.void]:
    """Read a file of the tracker as :func:`filter_table`; arguments and errors as for :func:`load_history`."""
    return filter_table(read_arrays(path))


def channel_table(history: History) -> NDArray[np.void]:
    """Return one row for every channel and epoch, by group, then epoch, then channel.

    A channel has no row from the epoch on in which it was gone, nor one where its strength is not a number.

    Args:
        history: of a tracker, or its file as ``numpy.load`` reads it.

    Returns:
        A structured array with the columns ``epoch``, ``phase``, ``group``, ``channel`` (the index before the cut),
        ``strength``, ``distance`` and ``coefficient``, the last two NaN where no force acted.

    >>> history = {"epochs": np.array([0]), "phases": np.array(["sparsify"]), "strength/conv": np.array([[2.0, 0.5]])}
    >>> channel_table(history)[["group", "channel", "strength"]].tolist()
    [('conv', 0, 2.0), ('conv', 1, 0.5)]
    """
    return _table(history, ("group", "channel"), CHANNEL_SERIES)


def filter_table(history: History) -> NDArray[np.void]:
    """Return one row for every filter and epoch, by layer, then epoch, then filter, as :func:`channel_table` does.

    Returns:
        A structured array with the columns ``epoch``, ``phase``, ``layer``, ``filter`` (the index before the cut),
        ``l1`` and ``l2``.
    """
    return _table(history, ("layer", "filter"), FILTER_SERIES)


def read_arrays(path: str | os.PathLike[str]) -> History:
    """Read a file of the tracker as :meth:`ChannelHistory.arrays`; arguments and errors as for :func:`load_history`."""
    arrays: History = {}
    with open(path, "rb") as file:
        # Of anything else numpy would say that it may be pickled, and how to load that unsafely.
        if zipfile.is_zipfile(file):
            file.seek(0)
            with np.load(file, allow_pickle=False) as stored:
                arrays = dict(stored)
    if not {"epochs", "phases"} <= arrays.keys():
        raise ValueError(
            f"path: expected a file of a ChannelTracker (with 'epochs', 'phases'), got {os.fspath(path)!r}"
        )
    return arrays


def _table(history: History, keys: tuple[str, str], kinds: Sequence[str]) -> NDArray[np.void]:
    owner, index = keys
    # Strings as objects: as fixed fields the longest name would be paid for in every row.
    columns = [("epoch", "i8"), ("phase", "O"), (owner, "O"), (index, "i8"), *((kind, "f4") for kind in kinds)]
    prefix = kinds[0] + "/"
    names = [name.removeprefix(prefix) for name in history if name.startswith(prefix)]
    parts = [_rows(history, name, keys, kinds, np.dtype(columns)) for name in names]
    return np.concatenate([np.empty(0, columns), *parts])


def _rows(
    history: History, name: str, keys: tuple[str, str], kinds: Sequence[str], columns: np.dtype[np.void]
) -> NDArray[np.void]:
    """Return the rows of one group or layer."""
    places = np.nonzero(~np.isnan(history[f"{kinds[0]}/{name}"]))
    rows = np.empty(len(places[0]), columns)
    rows["epoch"] = history["epochs"][places[0]]
    rows["phase"] = history["phases"].astype(object)[places[0]]
    rows[keys[0]], rows[keys[1]] = name, places[1]
    for kind in kinds:
        series = history.get(f"{kind}/{name}")
        rows[kind] = np.nan if series is None else series[places]
    return rows
