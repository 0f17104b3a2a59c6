"""The package keeps its top level small, its heavy libraries where they are used, its names, and its files short.

Who may import whom is told in pyproject.toml and checked by ``make lint``.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "physprune_pl"
FILES = sorted(PACKAGE.rglob("*.py"))


def test_the_top_level_is_what_a_user_imports_or_calls() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 15


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_optional_libraries_are_imported_where_they_are_used(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    roots = {name.name.split(".")[0] for node in body if isinstance(node, ast.Import) for name in node.names}
    roots |= {(node.module or "").split(".")[0] for node in body if isinstance(node, ast.ImportFrom)}
    assert not roots & {"matplotlib", "rich"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_are_written_in_full(path: Path) -> None:
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    assert all(node.level == 0 for node in found)


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
