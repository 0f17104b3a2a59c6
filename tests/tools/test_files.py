"""Files written in one piece."""

import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from physprune_pl.tools import files
from physprune_pl.tools.files import new_folder, newest_folder, put_aside, replaced


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


def test_of_two_writers_at_once_the_last_one_wins(tmp_path):
    path = tmp_path / "channels.npz"
    with replaced(path) as first:
        first.write_text("first")
        with replaced(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_two_files_of_one_folder_do_not_meet(tmp_path):
    paths = [tmp_path / "last.ckpt", tmp_path / "last.ckpt.npz", tmp_path / "[last].ckpt"]
    with replaced(paths[0]) as a, replaced(paths[1]) as b, replaced(paths[2]) as c:
        for part in (a, b, c):
            part.write_text(part.name)
    assert [path.read_text() for path in paths] == [a.name, b.name, c.name]
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path):
    path = tmp_path / "last.ckpt"
    code = (
        "import os, runpy, signal, sys; from pathlib import Path\n"
        "with runpy.run_path(sys.argv[1])['replaced'](Path(sys.argv[2])) as part:\n"
        "    part.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, files.__file__, path]).returncode == -signal.SIGKILL
    assert [one.read_text() for one in tmp_path.iterdir()] == ["half"]
    with replaced(path) as part:
        part.write_text("whole")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["whole"]


def test_the_file_has_the_rights_of_any_new_file(tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    with replaced(tmp_path / "file") as part:
        part.write_text("text")
    rights = [stat.S_IMODE(os.stat(path).st_mode) for path in (usual, tmp_path / "file")]
    assert rights[0] == rights[1]


def test_many_that_put_aside_at_once_lose_nothing(tmp_path):
    def write_and_put_aside(number):
        path = tmp_path / "report.json"
        with replaced(path) as part:
            part.write_text(str(number))
        put_aside(path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_and_put_aside, range(40)))
    # A later writer may take the place of an earlier one, but no file is half, empty or overwritten once aside.
    texts = [one.read_text() for one in tmp_path.iterdir()]
    assert len(set(texts)) == len(texts)
    assert set(texts) <= {str(number) for number in range(40)}


def test_many_that_want_a_folder_at_once_get_one_each(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: new_folder(tmp_path / "deep", "fit"), range(40)))
    assert {one.name for one in folders} == {"fit", *(f"fit-{number}" for number in range(1, 40))}
    assert newest_folder(tmp_path / "deep", "fit") == tmp_path / "deep" / "fit-39"


def test_the_newest_folder_is_one_that_was_made_so(tmp_path):
    (tmp_path / "fit-7").write_text("a file")
    for name in ("fit", "fit-2", "fit-x", "fitted-9", "a.fit-8"):
        (tmp_path / name).mkdir()
    assert newest_folder(tmp_path, "fit") == tmp_path / "fit-2"
    assert newest_folder(tmp_path / "missing", "fit") is None
