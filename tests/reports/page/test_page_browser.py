"""The pages in a real browser: nothing is fetched, nothing is wider than the screen, both themes are drawn."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from run_folders import run_folder

from physprune_pl.reports.page import Comparison, write_comparison, write_report

pytestmark = pytest.mark.slow

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAPER = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 27)"}


@dataclass(frozen=True)
class Opened:
    """A page in the browser, what it asked for besides itself, and what the browser complained of."""

    page: Any
    asked: list[str]
    complaints: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    library = pytest.importorskip(
        "playwright.sync_api", reason="playwright (pip install playwright) drives the browser"
    )
    if BROWSER is None:
        pytest.skip("no chromium is installed (apt-get install chromium)")
    with library.sync_playwright() as started:
        # In a container there is no user namespace for the sandbox.
        found = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    runs = [run_folder(tmp_path_factory.mktemp(name)) for name in ("one", "other")]
    return {
        "report": write_report(runs[0]),
        "comparison": write_comparison(Comparison.of(runs), runs[0] / "comparison.html"),
    }


def opened(browser: Any, path: Path, theme: str, width: int) -> Opened:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
    found = Opened(page, [], [])
    page.on("request", lambda request: found.asked.append(request.url))
    page.on("console", lambda message: found.complaints.append(message.text))
    page.goto(path.as_uri())
    return found


@pytest.mark.parametrize("width", [360, 800, 1400])
@pytest.mark.parametrize("theme", PAPER)
@pytest.mark.parametrize("name", ["report", "comparison"])
def test_a_page_opens_everywhere(
    name: str, theme: str, width: int, browser: Any, pages: dict[str, Path], tmp_path: Path
) -> None:
    found = opened(browser, pages[name], theme, width)
    assert [url for url in found.asked if not url.startswith("data:")] == [pages[name].as_uri()]
    assert found.complaints == []
    look = found.page.evaluate
    assert look("getComputedStyle(document.body).backgroundColor") == PAPER[theme]
    assert look("document.documentElement.scrollWidth") == width
    boxes = look("[...document.querySelectorAll('svg')].map(one => one.getBoundingClientRect().toJSON())")
    assert len(boxes) >= 3
    assert all(box["width"] > 100 and box["height"] > 30 and box["right"] <= width for box in boxes)
    found.page.screenshot(path=tmp_path / "whole.png", full_page=True)
    assert (tmp_path / "whole.png").stat().st_size > 20_000
    found.page.close()


@pytest.mark.parametrize("theme", PAPER)
def test_pictures_take_the_colours_of_the_theme(theme: str, browser: Any, pages: dict[str, Path]) -> None:
    found = opened(browser, pages["report"], theme, 1000)
    colours = found.page.evaluate("[...document.querySelectorAll('svg text')].map(one => getComputedStyle(one).fill)")
    body = found.page.evaluate("getComputedStyle(document.body).color")
    assert body in colours
    assert PAPER[theme] not in colours
    sizes = found.page.evaluate(
        "[...document.querySelectorAll('svg text')].map(one => one.getBoundingClientRect().height)"
    )
    assert min(sizes) > 7
    found.page.close()


def test_the_outline_of_a_page_can_be_read_aloud(browser: Any, pages: dict[str, Path]) -> None:
    found = opened(browser, pages["report"], "light", 1000)
    names = found.page.get_by_role("img").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert all(len(name) > 20 for name in names)
    headings = found.page.get_by_role("heading").all_inner_texts()
    assert {"The network", "Latency", "Steering", "Not pruned, and why", "How to repeat it"} <= set(headings)
    found.page.close()
