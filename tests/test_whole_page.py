"""The page of a release: its links are absolute, and lead to files of the repository."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ADDRESS = "https://example.org/someone/physprune_pl"
SPEC = importlib.util.spec_from_file_location("whole_page", ROOT / ".github" / "whole_page.py")
whole_page = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(whole_page)


@pytest.fixture
def checkout(tmp_path):
    for path in ROOT.iterdir():
        if path.name not in {"README.md", "pyproject.toml"}:
            (tmp_path / path.name).symlink_to(path)
    for name in ("README.md", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def test_every_link_of_the_page_is_absolute_and_leads_to_a_file(checkout):
    whole_page.main(ADDRESS, "v0.1.0", checkout)
    links = re.findall(r"\]\(([^)\s]+)\)", (checkout / "README.md").read_text())
    ours = [link for link in links if link.startswith(ADDRESS)]
    assert ours
    assert all(link.startswith(("https://", "#")) for link in links)
    for link in ours:
        kind, tag, path = link.removeprefix(f"{ADDRESS}/").split("/", 2)
        assert (ROOT / path.partition("#")[0]).exists()
        assert (kind, tag) == ("raw" if path.endswith(".png") else "blob", "v0.1.0")
    before = (ROOT / "README.md").read_text()
    assert re.sub(re.escape(ADDRESS) + r"/(raw|blob)/v0\.1\.0/", "", (checkout / "README.md").read_text()) == before


def test_the_metadata_names_the_repository(checkout):
    whole_page.main(ADDRESS, "v0.1.0", checkout)
    settings = tomllib.loads((checkout / "pyproject.toml").read_text())
    assert settings["project"].pop("urls")["Repository"] == ADDRESS
    assert settings == tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_a_link_to_nothing_stops_the_release(checkout):
    with pytest.raises(SystemExit, match=r"nowhere\.md"):
        whole_page.whole_links("[see](nowhere.md)", checkout, ADDRESS, "v0.1.0")


def test_a_second_run_stops(checkout):
    whole_page.main(ADDRESS, "v0.1.0", checkout)
    with pytest.raises(SystemExit, match=r"project\.urls"):
        whole_page.main(ADDRESS, "v0.1.0", checkout)
