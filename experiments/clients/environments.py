"""The Python of each client: a virtual environment that borrows the packages of this one and adds the library's.

What is added stands in requirements.json, without dependencies: a library's own requirements often exclude the torch of
today, or bring in a hundred packages that training its module never imports.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

REQUIREMENTS: dict[str, list[str]] = json.loads(
    Path(__file__).with_name("requirements.json").read_text(encoding="utf-8")
)


def python_of(name: str, environments: Path) -> Path:
    """Return the interpreter of a client."""
    return environments / name / "bin" / "python"


def install_line(name: str, environments: Path) -> str:
    """Return the command that installs a client's packages into its environment."""
    python = python_of(name, environments)
    return f"{sys.executable} -m pip --python {python} install --no-deps {' '.join(REQUIREMENTS[name])}"


def install(name: str, environments: Path) -> None:
    """Make the environment of a client, which sees the packages of this Python behind its own.

    Raises:
        subprocess.CalledProcessError: when pip cannot install what is named.
    """
    folder = environments / name
    venv.create(folder)
    own = sysconfig.get_path("purelib", "venv", {"base": str(folder)})
    (Path(own) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    subprocess.run(install_line(name, environments).split(), check=True)
