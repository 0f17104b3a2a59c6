"""The package imports in one direction, keeps heavy libraries where they belong, and keeps its public names."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "physprune_pl"

# Each line may import from those above it, and within itself without a circle.
ORDER = [
    ["files", "progress", "randomness"],
    [
        "channels",
        "registry",
        "tracing_types",
        "isolation",
        "memory",
        "tables",
        "history",
        "concentration",
        "widths",
        "identity",
        "segments",
        "reuse",
        "row_blocks",
        "einsums",
    ],
    ["strengths", "distances", "forces", "schedules"],
    [
        "operations",
        "tainting",
        "heads",
        "observations",
        "computed",
        "probing",
        "replay",
        "loose",
        "foreign",
        "gating",
        "components",
        "evidence",
        "runs",
        "collecting",
        "coupling",
        "masking",
        "recording",
    ],
    # Groups are checked by cutting them on a copy, so surgery comes before tracing.
    ["plan", "attention", "instance_norms", "attributes", "configs", "surgery", "loading", "measure", "recalibration"],
    ["verification", "groups"],
    ["owners", "blocks", "arrangement", "penalty", "costs"],
    ["latency", "ladders", "targets"],
    ["planning", "decision", "steering"],
    ["report", "plots", "export"],
    ["page"],
    ["callbacks", "commands"],
    ["__init__", "__main__"],
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}

FILES = sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    """Name in ORDER: the module, or the folder below the package."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are written in full"
            yield node.module or ""
            if node.module == "physprune_pl":
                yield from (f"physprune_pl.{name.name}" for name in node.names)


def inner(path: Path) -> set[str]:
    """Parts of the package that a file imports, its own folder left out."""
    found = {name.split(".")[1] for name in imported(path) if name.startswith("physprune_pl.")}
    return (found & LEVEL.keys()) - {part(path)}


def test_every_module_has_a_place_in_the_order() -> None:
    assert {part(path) for path in FILES} <= LEVEL.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_imports_what_comes_later(path: Path) -> None:
    later = {name for name in inner(path) if LEVEL[name] > LEVEL[part(path)]}
    assert not later, f"{part(path)} must not know {sorted(later)}"


def test_no_circles() -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        graph.setdefault(part(path), set()).update(inner(path))
    while graph:
        leaves = {name for name, needs in graph.items() if not needs & graph.keys()}
        assert leaves, f"circle among {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in leaves}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_lightning_only_in_callbacks_and_hydra_nowhere(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    assert not roots & {"hydra", "omegaconf", "experiments", "sklearn", "pytorch_lightning"}
    assert part(path) == "callbacks" or "lightning" not in roots


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_optional_libraries_are_imported_where_they_are_used(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    roots = {name.name.split(".")[0] for node in body if isinstance(node, ast.Import) for name in node.names}
    roots |= {(node.module or "").split(".")[0] for node in body if isinstance(node, ast.ImportFrom)}
    assert not roots & {"matplotlib", "rich"}


def test_public_names() -> None:
    import physprune_pl
    from physprune_pl import forces

    names = (
        *("physics_pruning", "ForceRegularization", "ChannelTracker", "PruneAndFinetune"),
        *("trace_groups", "plan_pruning", "apply_plan", "load_pruned", "PruningPlan", "PruningReport", "Channels"),
    )
    assert set(names) <= set(physprune_pl.__all__)
    assert all(hasattr(physprune_pl, name) for name in physprune_pl.__all__)
    for law in ("Uniform", "LinearTorque", "ExponentialTorque", "Gravity", "Electrostatic", "ForceLaw"):
        assert hasattr(forces, law)


def test_files_stay_short() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_order_covers_neighbouring_lines() -> None:
    assert all(LEVEL[one[0]] < LEVEL[other[0]] for one, other in pairwise(ORDER))
