"""Pictures: text with an alternative, coloured by the style sheet, with names of their own, readable in both themes."""

import re
import sys
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from matplotlib.colors import to_rgb

from physprune_pl.reports.drawing import AFTER
from physprune_pl.reports.page.themed_pictures import THEME_COLOURS, picture

PAGES = {"light": "#ffffff", "dark": "#12161b"}


def line(figure) -> None:
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=AFTER, marker="o")
    axis.set_title("a < b")


def test_a_picture_is_one_element_with_an_alternative_text() -> None:
    text = picture(line, (2, 1), 'It rises "fast" & far.')
    root = ElementTree.fromstring(str(text))
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == 'It rises "fast" & far.'
    assert {"width", "height"}.isdisjoint(root.attrib)
    assert "a &lt; b" in text
    assert "<style" not in text
    assert "<metadata" not in text


def test_figures_are_not_shortened() -> None:
    def digits(figure) -> None:
        figure.text(0.123456, 0.5, "0.123456")

    text = picture(digits, (2, 1), "0.98765")
    assert ">0.123456<" in text
    assert 'aria-label="0.98765"' in text


def test_colours_are_those_of_the_style_sheet() -> None:
    text = picture(line, (2, 1), "line")
    assert "var(--after)" in text
    assert "var(--ink)" in text
    assert not re.search(r"#[0-9a-f]{6}\b", text)


def test_no_two_pictures_share_a_name() -> None:
    names = [set(re.findall(r'\bid="([^"]+)"', picture(line, (width, 1), "line"))) for width in (2, 3)]
    assert all(names)
    assert not names[0] & names[1]
    for text in (picture(line, (2, 1), "line"),):
        used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
        assert used <= set(re.findall(r'\bid="([^"]+)"', text))


def test_text_that_names_a_colour_stays_as_it_is() -> None:
    def colours(figure) -> None:
        figure.text(0.1, 0.5, AFTER, color=AFTER)

    text = picture(colours, (2, 1), f"The colour {AFTER}")
    assert f">{AFTER}<" in text
    assert f'aria-label="The colour {AFTER}"' in text
    assert "fill: var(--after)" in text


def test_the_settings_of_the_user_stay_as_they_are() -> None:
    before = mpl.rcParams["svg.fonttype"], mpl.rcParams["text.color"]
    picture(line, (2, 1), "line")
    assert (mpl.rcParams["svg.fonttype"], mpl.rcParams["text.color"]) == before


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", PAGES)
def test_colours_stand_out_from_the_page(theme: str) -> None:
    shades = {ink.name: getattr(ink, theme) for ink in THEME_COLOURS}
    for name, least in (("ink", 7), ("muted", 4.5), ("after", 4.5), ("accent", 4), ("before", 1.5), ("frame", 2.5)):
        assert contrast(shades[name], PAGES[theme]) >= least, name
    assert contrast(shades["before"], shades["after"]) >= 2.5


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"physprune_pl\[report\]"):
        picture(line, (2, 1), "line")
