"""The package keeps its top level small, its heavy libraries where they are used, its names, and its files short.

Who may import whom is told in pyproject.toml and checked by ``make lint``.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "physprune_pl"
FILES = sorted(PACKAGE.rglob("*.py"))
PAGE = PACKAGE.parent / "docs" / "architecture.md"


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


def wings_of(path: Path) -> set[str]:
    """Return the folders and files at the top of the package that a file imports."""
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    return {node.module.split(".")[1] for node in found if (node.module or "").startswith("physprune_pl.")}


def reached(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    return {end for next_one in arrows.get(start, ()) for end in {next_one} | reached(next_one, arrows)}


def test_the_picture_of_the_architecture_shows_who_imports_whom() -> None:
    picture = PAGE.read_text().split("```mermaid\n")[1].split("```")[0]
    inside = {one: name for name, names in re.findall(r"(\w+)\[\"(.*?)\"\]", picture) for one in names.split(", ")}
    arrows: dict[str, set[str]] = {}
    for path in FILES:
        top = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if top not in ("__init__", "__main__"):
            start = inside.get(top, top)
            arrows.setdefault(start, set()).update({inside.get(one, one) for one in wings_of(path)} - {start})
    drawn = set(re.findall(r"(\w+) --> (\w+)", picture))
    # Nothing but what cannot be reached over other arrows.
    needed = {
        (start, end)
        for start, ends in arrows.items()
        for end in ends
        if not any(end in reached(other, arrows) for other in ends)
    }
    assert drawn == needed
