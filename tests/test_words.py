"""The prose linter finds every word and phrase of docs/words.txt."""

import subprocess
import sys
from pathlib import Path

import pytest
from configured import ROOT

pytest.importorskip("codespell_lib")

WORDS = ROOT / "docs" / "words.txt"


def test_every_word_of_the_list_is_found(tmp_path: Path) -> None:
    words = [line.partition("->")[0] for line in WORDS.read_text().splitlines()]
    page = tmp_path / "page.md"
    page.write_text("".join(f"Here {word} stands in a line.\n" for word in words))
    command = [sys.executable, "-m", "codespell_lib", "--dictionary=-", f"--dictionary={WORDS}", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    found = [line.split(": ", 1)[1].split(" ==> ")[0] for line in done.stdout.splitlines()]
    assert found == words
