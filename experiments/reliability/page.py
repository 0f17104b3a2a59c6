"""README.md and results.json of this folder, of which each script writes its own part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments.training.sweeps.figures import hardware
from physprune_pl.reports.report import command_line, versions

FOLDER = Path(__file__).parent


def write(part: str, results: Any, text: str, folder: Path = FOLDER, page: str = "README.md") -> None:
    """Put results and text in the place of those that a script has written before.

    Args:
        part: name of the part; the page has a comment with it before and after the text.
        results: plain data.
        text: markdown.
        folder: of both files.
        page: name of the file that the text is in.
    """
    path, file = folder / "results.json", folder / page
    known = json.loads(path.read_text()) if path.exists() else {}
    facts = {"command": command_line(), "hardware": hardware(), "versions": versions(), "results": results}
    path.write_text(json.dumps({**known, part: facts}, indent=1, sort_keys=True) + "\n")
    before, rest = file.read_text().split(f"<!-- {part} -->\n")
    after = rest.split(f"<!-- end of {part} -->")[1]
    file.write_text(f"{before}<!-- {part} -->\n{text}<!-- end of {part} -->{after}")
