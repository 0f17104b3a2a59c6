"""Where in somebody's own code something happened: the innermost line that is neither PyTorch's nor ours."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType, TracebackType

import torch

_NOT_THEIRS = tuple(f"{home}/" for home in (Path(torch.__file__).parent, Path(__file__).parent.parent))
_LONGEST = 80


def line_of_error(error: BaseException) -> str:
    """Return file, number and text of the line of somebody's code that an error came from; empty if there is none."""
    return _innermost([(frame.f_code.co_filename, line) for frame, line in _traced(error.__traceback__)][::-1])


def line_running() -> str:
    """Return file, number and text of the line of somebody's code that runs now; empty if there is none."""
    return _innermost((frame.f_code.co_filename, frame.f_lineno) for frame in _stack(sys._getframe(1)))


def _innermost(places: Iterable[tuple[str, int]]) -> str:
    for file, line in places:
        if not file.startswith(_NOT_THEIRS) and Path(file).is_file():
            text = linecache.getline(file, line).strip()
            shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
            return f"{'/'.join(Path(file).parts[-2:])}:{line}, `{shown}`"
    return ""


def _traced(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
