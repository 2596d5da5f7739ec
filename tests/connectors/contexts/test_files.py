"""Which file a worker takes."""

import logging
import os
from pathlib import Path

import pytest

from connectors.contexts import files
from connectors.contexts.files import TurnsFile
from connectors.contexts.store import Store
from tests.connectors.contexts.making import row, turn


def test_a_worker_takes_the_same_file_again_and_never_one_that_is_in_use(tmp_path: Path):
    first, second = TurnsFile(str(tmp_path), "a", None), TurnsFile(str(tmp_path), "a", None)
    paths = first.path, second.path
    assert paths[0] != paths[1]
    second.close()

    assert TurnsFile(str(tmp_path), "a", None).path == paths[1]
    first.close()


def test_names_and_installations_have_files_of_their_own(tmp_path: Path):
    taken = [
        TurnsFile(str(tmp_path), *who) for who in (("a", "one"), ("a", "two"), ("b", "one"), ("a", None))
    ]

    assert len({each.path for each in taken}) == 4
    again = TurnsFile(str(tmp_path), "a", "one")  # the one before still runs
    assert again.path not in {each.path for each in taken}


def test_only_its_user_may_look_into_the_folder(tmp_path: Path):
    TurnsFile(str(tmp_path / "new"), "a", None).close()

    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_without_a_folder_a_file_of_the_moment_serves(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        passing = TurnsFile(str(tmp_path / "file"), "a", None)
    passing.path.write_text("x")

    assert "no file for turns" in caplog.text
    passing.close()
    assert not passing.path.exists()


def test_a_crowded_folder_gives_a_file_of_the_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "SLOTS", 1)
    first = TurnsFile(str(tmp_path), "a", None)
    second = TurnsFile(str(tmp_path), "a", None)

    assert first.path.parent == tmp_path
    assert second.path.parent != tmp_path
    second.close()
    first.remove()


def test_the_folder_is_below_the_users_cache_where_nothing_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))

    assert TurnsFile(None, "a", None).path.parent == tmp_path / ".cache" / "weir" / "contexts"


def test_what_was_left_behind_long_ago_is_removed(tmp_path: Path):
    used = TurnsFile(str(tmp_path), "used", None)
    fresh, left = tmp_path / "a-0.sqlite", tmp_path / "b-0.sqlite"
    for path in (used.path, fresh, left):
        path.write_text("x")
    for path in (used.path, left):
        os.utime(path, (1000, 1000))
    taken = TurnsFile(str(tmp_path), "c", None)

    assert (used.path.exists(), fresh.exists(), left.exists()) == (True, True, False)
    used.close()
    taken.close()


def test_without_any_disk_turns_are_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("in the way")

    def full(**_: object) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(files.tempfile, "TemporaryDirectory", full)
    passing = TurnsFile(str(tmp_path / "file"), "a", None)
    store = Store(passing.path, "topic", 10**9)
    store.put(row(turn(1)))

    assert store.bytes > 0
    store.close()
    passing.remove()
    passing.close()
