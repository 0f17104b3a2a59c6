"""What an installation of the package says to Lightning: the entry points of pyproject.toml."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from configured import ROOT

GROUPS: dict[str, dict[str, str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Trainers find these entry points, whatever is really installed."""

    def found(group: str) -> list[EntryPoint]:
        return [EntryPoint(name, value, group) for name, value in GROUPS[group].items()]

    monkeypatch.delenv("PHYSPRUNE_EVERY_TRAINER")
    for package in ("lightning.fabric", "lightning_fabric"):
        monkeypatch.setattr(f"{package}.utilities.registry.entry_points", found)


def write(folder: Path) -> None:
    """Write what an installation writes of them into a folder, to be put on the path."""
    info = folder / "physprune_pl-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: physprune_pl\nVersion: 0.1.0\n")
    lines = [line for group, names in GROUPS.items() for line in (f"[{group}]", *map(" = ".join, names.items()))]
    (info / "entry_points.txt").write_text("\n".join(lines))
