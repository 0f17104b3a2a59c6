"""Files written in one piece."""

import pytest

from physprune_pl.tools.files import put_aside, replaced


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with replaced(path) as part:
        part.write_text("old")
    with replaced(path) as part:
        part.write_text("new")
        assert part.parent == path.parent
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replaced(path) as part:
        part.write_text("ne\udc80")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_gets_the_first_free_name(tmp_path):
    path = tmp_path / "metrics.csv"
    put_aside(path)
    for content in ("a", "b"):
        path.write_text(content)
        put_aside(path)
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"metrics-1.csv": "a", "metrics-2.csv": "b"}
