"""Every block of Python in README and docs/ passes mypy --strict without an ignore: a typed project may copy it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from configured import ROOT
from pages import PAGES, blocks

PROJECT = """
import lightning as L
from torch import nn


class MyModule(L.LightningModule):
    pass


class MyData(L.LightningDataModule):
    pass


def build_network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 2))
"""


def checked(folder: Path) -> str:
    """Return what mypy --strict says of the files in a folder, with the settings of the project."""
    options = ["--strict", "--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache", "--no-pretty"]
    where = {**os.environ, "MYPYPATH": f"{ROOT}{os.pathsep}{folder}"}
    command = [sys.executable, "-m", "mypy", *options, *sorted(folder.glob("*.py"))]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=where, cwd=folder).stdout


def test_every_block_is_typed(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "my_project.py").write_text(PROJECT)
    for page in PAGES:
        if found := blocks(page, "python"):
            assert "type: ignore" not in "".join(found)
            (tmp_path / f"page_{page.stem}.py").write_text("\n".join(found))
    (tmp_path / "wrong.py").write_text(
        "from physprune_pl import physics_pruning\n\nphysics_pruning(target=1).report.x\n"
    )
    lines = checked(tmp_path).splitlines()
    assert [line for line in lines if not line.startswith(("wrong.py", "Found"))] == []
    assert sum("wrong.py" in line for line in lines) == 2
