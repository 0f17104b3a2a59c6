"""Pictures for a page: drawn once by matplotlib, coloured by the page's style sheet in its light or dark theme."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from physprune_pl.reports.drawing import ACCENT, AFTER, BEFORE, MUTED, figure_of, library


@dataclass(frozen=True)
class ThemeColour:
    """A colour of the page: its name in the style sheet, and what it is in the light and in the dark theme."""

    name: str
    light: str
    dark: str


INK, FRAME, GRID = "#1b2129", "#8a94a0", "#dce1e7"

# Blue and vermilion stay apart for every kind of colour vision; light and dark ones differ in lightness too.
THEME_COLOURS = (
    ThemeColour("ink", INK, "#e7ebf0"),
    ThemeColour("frame", FRAME, "#76818d"),
    ThemeColour("grid", GRID, "#2c343d"),
    ThemeColour("muted", MUTED, "#a3adb8"),
    ThemeColour("before", BEFORE, "#4d5a68"),
    ThemeColour("after", AFTER, "#5bb4ec"),
    ThemeColour("accent", ACCENT, "#f2994a"),
)

THEME = {
    "text.color": INK,
    "axes.edgecolor": FRAME,
    "axes.labelcolor": INK,
    "xtick.color": FRAME,
    "ytick.color": FRAME,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "font.size": 9.0,
    # Text stays text: it can be read aloud and searched, and takes the font of the page.
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans"],
}

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def style_sheet(shade: Callable[[ThemeColour], str]) -> str:
    """Return the colours as declarations for a style sheet.

    >>> style_sheet(lambda ink: ink.dark).splitlines()[0]
    '--ink: #e7ebf0;'
    """
    return "\n".join(f"--{ink.name}: {shade(ink)};" for ink in THEME_COLOURS)


SHADES = {ink.light: f"var(--{ink.name})" for ink in THEME_COLOURS}


def picture(draw: Callable[[Any], None], size: tuple[float, float], alt: str) -> Markup:
    """Return a picture as an element of a page, coloured by the page's style sheet.

    Args:
        draw: draws into the empty figure that it is given.
        size: width and height in inches; 4.6 fills the screen of a telephone.
        alt: what it shows, for those who do not see it. No other picture of a page has the same.

    Raises:
        ModuleNotFoundError: when matplotlib is missing.
    """
    content = io.BytesIO()
    # The names of clips, markers and hatches are hashed with the salt: no other picture of the page has them.
    with library().rc_context({**THEME, "svg.hashsalt": f"{alt} {size}"}):
        figure = figure_of(size)
        draw(figure)
        figure.savefig(content, format="svg", metadata={"Date": None})
    return Markup(_element(ElementTree.fromstring(content.getvalue()), alt))


def _element(root: ElementTree.Element, alt: str) -> str:
    """Return the root element of an SVG file with its alternative text, as large as the page lets it."""
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in _NOT_SHOWN]:
            parent.remove(child)
    for part in root.iter():
        if part.tag == f"{{{SVG}}}g":
            part.attrib.pop("id", None)  # counted anew in every picture, and referred to by none
        if "style" in part.attrib:
            part.attrib["style"] = "; ".join(map(_themed, part.attrib["style"].split("; ")))
        part.text, part.tail = ((text or "").strip() or None for text in (part.text, part.tail))
    width = float(root.attrib.pop("width").removesuffix("pt"))
    del root.attrib["height"]
    root.attrib.update({"role": "img", "aria-label": alt, "style": f"max-width: {1.4 * width:.0f}px"})
    return ElementTree.tostring(root, encoding="unicode")


def _themed(declaration: str) -> str:
    """Return a declaration of a style with the page's name for its colour.

    >>> _themed("fill: #0069b0"), _themed("stroke-width: 0.8")
    ('fill: var(--after)', 'stroke-width: 0.8')
    """
    name, _, value = declaration.partition(": ")
    return f"{name}: {SHADES.get(value, value)}"


# Of matplotlib's two style sheets one is the page's, since it would hold for all of the page.
_NOT_SHOWN = {f"{{{SVG}}}metadata", f"{{{SVG}}}style"}

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)
