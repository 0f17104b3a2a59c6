"""Pictures for a page: drawn once by matplotlib, coloured by the page's style sheet in its light or dark theme."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from physprune_pl.reports.drawing import ACCENT, AFTER, BEFORE, figure_of, library


@dataclass(frozen=True)
class Ink:
    """A colour of the page: its name in the style sheet, and what it is in the light and in the dark theme."""

    name: str
    light: str
    dark: str


INK, FRAME, GRID, MUTED = "#1b2129", "#8a94a0", "#dce1e7", "#5b6571"

# Blue and vermilion stay apart for every kind of colour vision; light and dark ones differ in lightness too.
INKS = (
    Ink("ink", INK, "#e7ebf0"),
    Ink("frame", FRAME, "#76818d"),
    Ink("grid", GRID, "#2c343d"),
    Ink("muted", MUTED, "#a3adb8"),
    Ink("before", BEFORE, "#4d5a68"),
    Ink("after", AFTER, "#5bb4ec"),
    Ink("accent", ACCENT, "#f2994a"),
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
    "svg.hashsalt": "physprune_pl",
    "font.sans-serif": ["DejaVu Sans"],
}

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def style_sheet(shade: Callable[[Ink], str]) -> str:
    """Return the colours as declarations for a style sheet.

    >>> style_sheet(lambda ink: ink.dark).splitlines()[0]
    '--ink: #e7ebf0;'
    """
    return "\n".join(f"--{ink.name}: {shade(ink)};" for ink in INKS)


def picture(draw: Callable[[Any], None], size: tuple[float, float], alt: str) -> Markup:
    """Return a picture as an element of a page.

    Args:
        draw: draws into the empty figure that it is given.
        size: width and height in inches; 4.6 fills the screen of a telephone.
        alt: what it shows, for those who do not see it.

    Raises:
        ModuleNotFoundError: when matplotlib is missing.
    """
    content = io.BytesIO()
    with library().rc_context(THEME):
        figure = figure_of(size)
        draw(figure)
        figure.savefig(content, format="svg", metadata={"Date": None})
    return Markup(_themed(_element(content.getvalue(), alt)))


def _element(content: bytes, alt: str) -> str:
    """Return the root element of an SVG file with its alternative text, as large as the page lets it."""
    root = ElementTree.fromstring(content)
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in _NOT_SHOWN]:
            parent.remove(child)
    for part in root.iter():
        _slim(part)
    width = float(root.attrib.pop("width").removesuffix("pt"))
    del root.attrib["height"]
    root.attrib.update({"role": "img", "aria-label": alt, "style": f"max-width: {1.4 * width:.0f}px"})
    return ElementTree.tostring(root, encoding="unicode")


# Of matplotlib's two style sheets one is the page's, since it would hold for all of the page.
_NOT_SHOWN = {f"{{{SVG}}}metadata", f"{{{SVG}}}style"}
_PLACES = ("d", "x", "y", "points", "transform")


def _slim(part: ElementTree.Element) -> None:
    """Leave out what nobody sees: indentation, fractions of hundredths, rotations by nothing, the font of the file."""
    if part.tag == f"{{{SVG}}}g":
        part.attrib.pop("id", None)
    if "font-family" in part.attrib.get("style", ""):
        part.attrib["style"] = re.sub(r"font-family: [^;]*; ?", "", part.attrib["style"])
    for name in _PLACES:
        if name in part.attrib:
            part.attrib[name] = re.sub(r"(\.\d\d)\d+", r"\1", part.attrib[name])
    if part.attrib.get("transform", "").startswith("rotate(-0 "):
        del part.attrib["transform"]
    part.text, part.tail = ((text or "").strip() or None for text in (part.text, part.tail))


def _themed(element: str) -> str:
    """Let the style sheet colour an element, and give its parts names that no other picture of the page has."""
    for ink in INKS:
        element = element.replace(ink.light, f"var(--{ink.name})")
    prefix = f"p{zlib.crc32(element.encode()):08x}-"
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}", element)


ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)
