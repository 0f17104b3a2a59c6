"""Make the page of a release whole, in a checkout: ``python .github/whole_page.py https://HOST/OWNER/NAME TAG``.

The wheel's page is README.md, shown where none of the files lie that it links to, and only the place that makes a
release knows the repository's address. So this writes absolute links into README.md and the address into
pyproject.toml, which are built next and not committed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PICTURES = {".png", ".svg"}
RELATIVE = re.compile(r"\]\((?!https?:|#)([^)\s]+)\)")
URLS = """[project.urls]
Repository = "{address}"
Documentation = "{address}/blob/{tag}/docs/index.md"
Changelog = "{address}/blob/{tag}/CHANGELOG.md"
Issues = "{address}/issues"

"""
BEFORE = "[project.scripts]\n"


def whole_links(text: str, root: Path, address: str, tag: str) -> str:
    """Return a page whose links to files of the repository name its address and the tag.

    Raises:
        SystemExit: for a link to a file that is not there.
    """

    def absolute(link: re.Match[str]) -> str:
        path = Path(link[1].partition("#")[0])
        if not (root / path).exists():
            sys.exit(f"README.md: expected links to files of the repository, got {link[1]!r}; mend it")
        kind = "raw" if path.suffix in PICTURES else "blob"
        return f"]({address}/{kind}/{tag}/{link[1]})"

    return RELATIVE.sub(absolute, text)


def with_urls(settings: str, address: str, tag: str) -> str:
    """Return the text of pyproject.toml with the addresses of the project.

    Raises:
        SystemExit: if there is no one place for them.
    """
    if settings.count(BEFORE) != 1 or "[project.urls]" in settings:
        sys.exit(
            "pyproject.toml: expected [project.scripts] once and no [project.urls]; change .github/whole_page.py too"
        )
    return settings.replace(BEFORE, URLS.format(address=address, tag=tag) + BEFORE)


def main(address: str, tag: str, root: Path) -> None:
    """Rewrite README.md and pyproject.toml of a checkout."""
    page, settings = root / "README.md", root / "pyproject.toml"
    texts = whole_links(page.read_text(), root, address, tag), with_urls(settings.read_text(), address, tag)
    page.write_text(texts[0])
    settings.write_text(texts[1])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:], Path.cwd())
