"""Fit under every setting and write what was found: ``python -m experiments.reliability.settings``."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from experiments.reliability.loops import LOOPS
from experiments.reliability.modules import MODULES
from experiments.reliability.numbers import NUMBERS
from experiments.reliability.optimizer_rows import OPTIMIZERS
from experiments.reliability.page import write
from experiments.reliability.setting import Setting
from physprune_pl.reports.tables import markdown

SETTINGS: dict[str, Setting] = {setting.name: setting for setting in (*NUMBERS, *LOOPS, *OPTIMIZERS, *MODULES)}


@dataclass(frozen=True)
class Row:
    """A setting, what was checked, what came out, and whether that is as it should be."""

    setting: str
    checked: str
    result: str
    ok: bool


def judge(setting: Setting) -> Row:
    """Fit under a setting."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return Row(setting.name, setting.checked, setting.check(Path(folder)), True)
        except Exception as error:  # A row that fails stays in the table.
            return Row(setting.name, setting.checked, f"{type(error).__name__}: {error}", False)


def main() -> None:
    """Judge all, write results.json and README.md, and exit with an error if anything is wrong."""
    torch.set_num_threads(1)
    rows = [judge(setting) for setting in SETTINGS.values()]
    wrong = [row for row in rows if not row.ok]
    cells = [(row.setting, row.checked, row.result if row.ok else f"**{row.result}**") for row in rows]
    summary = f"{len(rows) - len(wrong)} of {len(rows)} as they should be.\n\n"
    write("settings", [asdict(row) for row in rows], summary + markdown(("setting", "checked", "result"), cells))
    if wrong:
        raise SystemExit("\n".join(f"{row.setting}: {row.result}" for row in wrong))


if __name__ == "__main__":
    main()
