"""From what a page is to show to its HTML: templates that escape everything but pictures."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from physprune_pl.reports.page.themed_pictures import style_sheet
from physprune_pl.tools.files import replaced


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("physprune_pl.reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_page(path: Path, template: str, **content: Any) -> Path:
    """Write a page in one piece, and return where it is.

    Args:
        path: of the page; its folder is made where it is missing.
        template: name of a file in the folder ``templates``.
        content: what the template asks for.
    """
    themes = {"light": style_sheet(lambda ink: ink.light), "dark": style_sheet(lambda ink: ink.dark)}
    text = _templates().get_template(template).render(**content, **themes)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as part:
        part.write_text(text, encoding="utf-8")
    return path
