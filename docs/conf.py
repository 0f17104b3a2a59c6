"""The site of the documentation: ``make docs``. The root of the repository is the source, so links work in both."""

from importlib.metadata import version as version_of

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "physprune_pl"
author = "The physprune_pl developers"
copyright = author
release = version = version_of("physprune_pl")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = [
    "docs/**",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "experiments/**/*.md",
    "experiments/*.md",
]
exclude_patterns = ["docs/_build"]
# A page may stand in a list by name and by pattern.
suppress_warnings = ["toc.duplicate_entry"]

myst_heading_anchors = 3
# Formulas of docstrings are plain text.
napoleon_use_rtype = False
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}

html_theme = "furo"
html_title = f"physprune_pl {release}"
html_copy_source = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Show pictures written in Mermaid, which code hosts draw, as their arrows: drawing them needs a network."""
    app.add_lexer("mermaid", TextLexer)
