"""The wheel and the files around the package."""

import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ["pyproject.toml", "README.md", "LICENSE", *(p.relative_to(ROOT) for p in package_files())]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", folder]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, source], check=True)
    return next(folder.glob("*.whl"))


def package_files() -> list[Path]:
    package = ROOT / "physprune_pl"
    return [*package.rglob("*.py"), *package.rglob("*.j2"), package / "py.typed"]


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == {str(path.relative_to(ROOT)) for path in package_files()}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_installs_into_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "empty", with_pip=False)
    python = tmp_path / "empty" / "bin" / "python"
    install = ["install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True)
    # The dependencies are lent by this environment; the package itself must be the installed one.
    lent = next(path for path in sys.path if path.endswith("site-packages"))
    code = f"import sys; sys.path.append({lent!r}); import physprune_pl; print(physprune_pl.__file__)"
    found = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert str(tmp_path) in found.stdout
    assert (Path(found.stdout.strip()).parent / "py.typed").exists()


@pytest.mark.slow
def test_wheel_installs_with_its_dependencies(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "full", with_pip=True)
    python = tmp_path / "full" / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", constraints, wheel], check=True)
    subprocess.run([python, "-I", "-c", "from physprune_pl import physics_pruning"], check=True, cwd=tmp_path)


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def requirements() -> list[str]:
    extras = PROJECT["optional-dependencies"]
    return [*PROJECT["dependencies"], *extras["experiments"], *extras["dev"]]


def test_lowest_versions_are_the_bounds_of_pyproject() -> None:
    bounds = {re.split(r"[\[<>=]", line)[0]: re.search(r">=([\d.]+)", line) for line in requirements()}
    assert all(bounds.values()), "every requirement has a lower bound"
    # Linters, the build tool and the driver of the browser do not run the package; their newest versions serve.
    tools = {"ruff", "mypy", "setuptools", "playwright"}
    lowest = {name: found[1] for name, found in bounds.items() if found and name not in tools}

    def padded(version: str) -> tuple[int, ...]:
        numbers = [int(number) for number in version.split(".")]
        return tuple(numbers + [0] * (3 - len(numbers)))

    pinned = pins("constraints-lowest.txt")
    assert {name: padded(pinned[name]) for name in lowest} == {name: padded(bound) for name, bound in lowest.items()}


def test_every_requirement_is_pinned() -> None:
    pinned = {name.lower() for name in pins("constraints.txt")}
    needed = [*requirements(), *PROJECT["optional-dependencies"]["export"]]
    assert {re.split(r"[\[<>=]", line)[0] for line in needed} <= pinned


def test_no_registry_is_named() -> None:
    for name in ("Makefile", "constraints.txt", "constraints-lowest.txt", "pyproject.toml", ".ci/run"):
        text = (ROOT / name).read_text()
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--index", text), name
