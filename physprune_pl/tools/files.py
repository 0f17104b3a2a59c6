"""Files that are written in one piece: whoever reads them, or comes after a crash, finds the old one or the new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give the path of a file to write; once that is done it takes the place of ``path`` in one step.

    The new file is written beside the old one, since a file is moved in one step only within its file system, and is
    on the disk before it takes the place. A folder that is missing is made. An exception leaves the old file.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replaced(Path(folder) / "note.txt") as part:
    ...         _ = part.write_text("whole")
    ...     print([(file.name, file.read_text()) for file in Path(folder).iterdir()])
    [('note.txt', 'whole')]
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        _to_disk(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
    number = 1
    while (aside := path.with_stem(f"{path.stem}-{number}")).exists():
        number += 1
    path.rename(aside)


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
