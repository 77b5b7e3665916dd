"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from pkef_fast.errors import InputError
from pkef_fast.store.files import write_file, write_folder, write_text


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "folder" / "a.bin"
    with write_file(path) as file:
        file.write(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"
    write_text(path, "ü")
    assert path.read_bytes() == "ü".encode()
    assert [one.name for one in path.parent.iterdir()] == ["a.bin"]


def test_an_error_leaves_what_was_there(tmp_path):
    path = tmp_path / "a"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), write_file(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_text(encoding="utf-8") == "before"
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ZeroDivisionError), write_folder(tmp_path / "b") as folder:
        (folder / "x").write_text("half", encoding="utf-8")
        raise ZeroDivisionError
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="a could not be written: No space left on device; noth"):
        write_text(tmp_path / "a", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_one_sentence(tmp_path):
    (tmp_path / "a").write_text("", encoding="utf-8")
    for write in (write_file, write_folder):
        said = pytest.raises(InputError, match=r"could not be written: .*; nothing was changed")
        with said, write(tmp_path / "a" / "b"):
            pass


def test_a_folder_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "run"
    with write_folder(path) as folder:
        (folder / "x").write_text("1", encoding="utf-8")
        assert not path.exists()
    assert (path / "x").read_text(encoding="utf-8") == "1"
    (tmp_path / "empty").mkdir()
    with write_folder(tmp_path / "empty") as folder:
        (folder / "x").write_text("2", encoding="utf-8")
    assert (tmp_path / "empty/x").read_text(encoding="utf-8") == "2"


def test_a_folder_with_something_in_it_is_not_replaced(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/mine").write_text("before", encoding="utf-8")
    said = pytest.raises(InputError, match="run could not be written")
    with said, write_folder(tmp_path / "run") as folder:
        (folder / "x").write_text("", encoding="utf-8")
    assert [one.name for one in tmp_path.rglob("*")] == ["run", "mine"]


def test_files_have_the_permissions_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "")
        with write_folder(tmp_path / "b"):
            pass
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"]
    assert modes == [0o640, 0o750]
