"""Method cards: every law and callback has one, every link leads somewhere, every block of code runs."""

import re
from pathlib import Path

import pytest

import physprune_pl.callbacks
from physprune_pl.forces import FORCES

CARDS = sorted((Path(__file__).parents[2] / "experiments" / "methods").glob("*.md"))
PARTS = ("What it does", "Settings", "Cost", "When not to use it", "Source")


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_every_law_and_callback_has_a_card() -> None:
    laws = {name.removesuffix("_literal") for name in FORCES}
    callbacks = {snake(name) for name in physprune_pl.callbacks.__all__} - {
        *("atomic_checkpoint_i_o", "physics_pruning"),
        *("pruned_module", "pruned_module_of_cli"),  # names that are in files
    }
    assert {path.stem for path in CARDS} == laws | callbacks | {"steering", "README"}


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_card_is_whole(path: Path) -> None:
    text = path.read_text()
    assert all(len(line) <= 120 for line in text.splitlines())
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (path.parent / link).exists(), link
    if path.stem == "README":
        assert all(f"]({other.name})" in text for other in CARDS if other != path)
    else:
        assert all(f"**{part}.**" in text for part in PARTS)
        assert "```python" in text


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_the_code_of_a_card_runs(path: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL):
        exec(compile(block, path.name, "exec"), {})
