"""The wheel and the files around the package."""

import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    sources = [*package_files(), *(ROOT / "conf").rglob("*.yaml"), ROOT / "conf" / "__init__.py"]
    for name in ["pyproject.toml", "README.md", "LICENSE", *(path.relative_to(ROOT) for path in sources)]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", folder]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, source], check=True)
    return next(folder.glob("*.whl"))


def package_files() -> list[Path]:
    package = ROOT / "physprune_pl"
    return [*package.rglob("*.py"), *package.rglob("*.j2"), package / "py.typed"]


# What needs the models and the data of this repository, or names modules of it.
OWN = {"train.yaml", "data", "model", "experiment", "hparams_search", "hydra", "logger/csv.yaml"}


def shared_configuration() -> set[str]:
    """Files of conf/ that other Hydra apps find in the wheel."""
    conf = ROOT / "conf"
    files = [path.relative_to(conf) for path in [conf / "__init__.py", *conf.rglob("*.yaml")]]
    return {str(file) for file in files if not {str(file), file.parts[0]} & OWN}


def test_wheel_holds_the_package_and_what_others_need_of_the_configuration(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name for name in names if ".dist-info/" not in name}
    configuration = {f"physprune_pl/conf/{name}" for name in shared_configuration()}
    assert inside == {str(path.relative_to(ROOT)) for path in package_files()} | configuration
    assert {"physprune_pl/conf/force/gravity.yaml", "physprune_pl/conf/physics_pruning.yaml"} <= configuration
    assert any(name.endswith("licenses/LICENSE") for name in names)
    entry = next(name for name in names if name.endswith("entry_points.txt"))
    assert "physprune = physprune_pl.__main__:main" in zipfile.ZipFile(wheel).read(entry).decode()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Install the wheel into an environment of its own; return what runs code there, in a given folder."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    # Another copy on PYTHONPATH would else be taken for an installed one.
    install = ["install", "--ignore-installed", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True)
    # The dependencies are lent by this environment; the package itself must be the installed one.
    lent = next(path for path in sys.path if path.endswith("site-packages"))

    def run(code: str, where: Path, *words: str) -> str:
        lines = f"import sys; sys.path.append({lent!r})\n{code}"
        command = [python, "-I", "-c", lines, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=where).stdout

    return run


def test_wheel_installs_into_an_empty_environment(installed: Callable[..., str], tmp_path: Path) -> None:
    found = Path(installed("import physprune_pl; print(physprune_pl.__file__)", tmp_path).strip())
    assert ROOT not in found.parents
    assert (found.parent / "py.typed").exists()


def test_the_commands_run_from_the_wheel(installed: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "own_net.py").write_text("from torch.nn import Linear as Net")
    # The console script, which, unlike `python -m`, starts without the working folder among its paths.
    code = "from physprune_pl.__main__ import main; sys.exit(main())"
    words = ("inspect", "--model", "own_net:Net", "--model-args", "in_features=3", "out_features=2")
    assert "8 parameters" in installed(code, tmp_path, *words, "--input", "1,3")


APP = """
import hydra
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

# Later versions behave like 1.3 of themselves, and would be told of it with a warning.
base = {"version_base": "1.3"} if hydra.__version__ < "1.4" else {}
with initialize_config_dir(sys.argv[1], **base):
    overrides = ["force=gravity", "target=params", "target.params=0.25", "finetune.epochs=7", "trainer=cpu"]
    overrides += ["physics_pruning.baseline=0.93"]
    config = compose("app", overrides)
*_, cutter = callbacks = instantiate(config.physics_pruning)
print(callbacks[0].law.force, cutter.target, cutter.finetune_epochs, config.trainer.max_epochs)
"""


def test_another_hydra_app_composes_from_the_wheel(installed: Callable[..., str], tmp_path: Path) -> None:
    text = "defaults: [physics_pruning, trainer: default, _self_]\nhydra: {searchpath: ['pkg://physprune_pl.conf']}\n"
    (tmp_path / "app.yaml").write_text(text.replace("trainer: default", "{trainer: default}"))
    said = installed(APP, tmp_path, str(tmp_path))
    assert said.strip() == "Gravity(normalize=True, orientation='far') Target(kind='params', share=0.25) 7 40"


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
    tools = {"ruff", "mypy", "import-linter", "setuptools", "playwright", "codespell"}
    lowest = {name: found[1] for name, found in bounds.items() if found and name not in tools}

    def padded(version: str) -> tuple[int, ...]:
        numbers = [int(number) for number in version.split(".")]
        return tuple(numbers + [0] * (3 - len(numbers)))

    pinned = pins("constraints-lowest.txt")
    assert {name: padded(pinned[name]) for name in lowest} == {name: padded(bound) for name, bound in lowest.items()}


def test_every_requirement_is_pinned() -> None:
    pinned = {name.lower() for name in pins("constraints.txt")}
    extras = PROJECT["optional-dependencies"]
    needed = [*requirements(), *extras["export"], *extras["docs"]]
    assert {re.split(r"[\[<>=]", line)[0] for line in needed} <= pinned


def test_no_registry_is_named() -> None:
    for name in ("Makefile", "constraints.txt", "constraints-lowest.txt", "pyproject.toml", ".ci/run"):
        text = (ROOT / name).read_text()
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--index", text), name
