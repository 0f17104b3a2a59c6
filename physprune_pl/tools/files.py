"""Files that are written in one piece: whoever reads them, or comes after a crash, finds the old one or the new one."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

if sys.platform != "win32":
    import fcntl


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give the path of a file to write; once that is done it takes the place of ``path`` in one step.

    The new file is written beside the old one, since a file is moved in one step only within its file system, and is
    on the disk before it takes the place. A folder that is missing is made. An exception leaves the old file. Several
    may write at once, each its own file: the last one to end wins. What a killed writer left is removed.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replaced(Path(folder) / "note.txt") as part:
    ...         _ = part.write_text("whole")
    ...     print([(file.name, file.read_text()) for file in Path(folder).iterdir()])
    [('note.txt', 'whole')]
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    with _own(path) as part:
        yield part
        _to_disk(part)
        part.replace(path)


def put_aside(path: Path) -> None:
    """Give a file the first free name of ``<stem>-1``, ``<stem>-2`` and so on; nothing happens where there is no file.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "report.json").write_text("{}")
    ...     put_aside(Path(folder) / "report.json")
    ...     print([file.name for file in Path(folder).iterdir()])
    ['report-1.json']
    """
    if not path.exists():
        return
    aside = _free_name(path)
    try:
        path.replace(aside)
    except FileNotFoundError:  # another process was faster
        aside.unlink()


def new_folder(parent: Path, name: str) -> Path:
    """Make the folder of that name, or the first free one of ``<name>-1``, ``<name>-2`` and so on.

    No two callers get the same, whatever process they are in.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as parent:
    ...     print([new_folder(Path(parent), "fit").name for _ in range(3)])
    ['fit', 'fit-1', 'fit-2']
    """
    number = 0
    while True:
        folder = parent / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def newest_folder(parent: Path, name: str) -> Path | None:
    """Return the last of the folders that :func:`new_folder` made; None where there is none.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as parent:
    ...     _ = [new_folder(Path(parent), "fit") for _ in range(11)]
    ...     print(newest_folder(Path(parent), "fit").name, newest_folder(Path(parent), "other"))
    fit-10 None
    """
    folders = numbers_of((path for path in (parent.iterdir() if parent.is_dir() else ()) if path.is_dir()), name)
    return folders[max(folders)] if folders else None


def numbers_of(paths: Iterable[Path], name: str) -> dict[int, Path]:
    """Return those of the paths that :func:`new_folder` may have given that name, by their numbers.

    >>> numbers_of([Path("runs/fit"), Path("runs/fit-3"), Path("runs/fitted")], "fit").keys()
    dict_keys([0, 3])
    """
    numbered = re.compile(rf"{re.escape(name)}(?:-(\d+))?")
    return {int(match[1] or 0): path for path in paths if (match := numbered.fullmatch(path.name))}


def _free_name(path: Path) -> Path:
    """Take the first free name, with an empty file: no other process gets the same."""
    number = 1
    while True:
        aside = path.with_stem(f"{path.stem}-{number}")
        try:
            aside.touch(exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return aside


@contextmanager
def _own(path: Path) -> Iterator[Path]:
    """Make an empty file of a name that no other writer has, locked as long as it is written."""
    part, file = _locked_part(path)
    with file:
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)


def _locked_part(path: Path) -> tuple[Path, IO[bytes]]:
    while True:
        part = path.with_name(f"{path.name}.{uuid4().hex}.part")
        file = part.open("xb")
        _lock(file, wait=True)
        if part.exists():
            return part, file
        file.close()  # a sweep came between making and locking


def _sweep(path: Path) -> None:
    """Remove what writers of a file left when they were killed: the system has let go of their locks."""
    for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        with suppress(FileNotFoundError), part.open("rb+") as file:
            if _lock(file, wait=False):
                part.unlink()


def _lock(file: IO[bytes], wait: bool) -> bool:
    """Lock a file until it is closed; say whether that went well, which it does not on every file system."""
    if sys.platform == "win32":  # where an open file cannot be moved
        return False
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
