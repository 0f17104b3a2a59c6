"""Times that were measured once, in a plain JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physprune_pl.tools.files import replaced

FORMAT = 1
VARIABLE = "PHYSPRUNE_LATENCY"

Page = dict[str, dict[str, Any]]


def default_path() -> Path:
    """Where times are kept: ``$PHYSPRUNE_LATENCY``, else ``physprune_pl/latency.json`` in the user's cache folder."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "physprune_pl" / "latency.json"


class LatencyCache:
    """A JSON file with one page for every device, dtype and version of torch.

    A page has entries of several sorts: ``"layers"`` by their shapes, ``"networks"``, and ``"round_to"``.

    Args:
        path: the file; it is made when something is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def page(self, device: str) -> Page:
        """Return what is known of a device, by sort and key; nothing of one that was never timed.

        Raises:
            ValueError: the file holds something else than times.
        """
        found = self._read().get(device, {})
        if not isinstance(found, dict) or not all(isinstance(entries, dict) for entries in found.values()):
            raise ValueError(f"{self.path}: expected the times of a device by sort, got {found!r:.80}; delete the file")
        return found

    def keep(self, device: str, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Add entries to the page of a device; what others have added meanwhile stays."""
        pages = self._read()
        page = pages.setdefault(device, {})
        for sort, entries in found.items():
            page.setdefault(sort, {}).update(entries)
        with replaced(self.path) as part:
            part.write_text(json.dumps({"format": FORMAT, "devices": pages}, indent=1) + "\n", encoding="utf-8")

    def _read(self) -> dict[str, Page]:
        if not self.path.exists():
            return {}
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{self.path}: expected JSON with times of layers ({error}); delete the file") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("devices"), dict):
            raise ValueError(f"{self.path}: expected times of layers in format {FORMAT}; delete the file")
        pages: dict[str, Page] = data["devices"]
        return pages
