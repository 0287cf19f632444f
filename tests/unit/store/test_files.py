from __future__ import annotations

import os
from pathlib import Path

import pytest

from picloud.store.files import Files, Folder, Remote, open_files
from picloud.wire.error import BadRequest, NotFound, SetupError

NAME = "0123456789abcdef" * 2


@pytest.fixture(params=["folder", "remote"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return open_files("" if request.param == "folder" else "memory:///", tmp_path / "blob")


def test_a_blob_is_there_whole_or_not_at_all(files: Files) -> None:
    sink = files.create(NAME)
    sink.write(b"one ")
    with pytest.raises(NotFound):
        files.size(NAME)
    sink.write(b"two")
    assert sink.commit() == files.size(NAME) == 7
    sink.abort()
    assert b"".join(files.read(NAME)) == b"one two"
    assert b"".join(files.read(NAME, 4)) == b"two"
    assert b"".join(files.read(NAME, 2, 5)) == b"e t"
    assert b"".join(files.read(NAME, 5, 99)) == b"wo"
    files.delete(NAME)
    files.delete(NAME)
    for gone in (lambda: files.size(NAME), lambda: list(files.read(NAME))):
        with pytest.raises(NotFound):
            gone()


def test_a_block_that_raises_leaves_nothing(files: Files) -> None:
    def interrupted() -> None:
        with files.create(NAME) as sink:
            sink.write(b"half")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        interrupted()
    with pytest.raises(NotFound):
        files.size(NAME)


def test_an_empty_blob(files: Files) -> None:
    with files.create(NAME):
        pass
    assert files.size(NAME) == 0
    assert b"".join(files.read(NAME)) == b""


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a/b", "ABCDEF0123456789", "0" * 65, "0123456789abcde\0"])
def test_names_that_are_none_of_ours_are_refused(files: Files, name: str) -> None:
    for use in (files.create, files.size, files.delete, files.read):
        with pytest.raises(BadRequest):
            use(name)


def test_a_folder_tells_the_path_and_syncs_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real_sync, real_rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("sync"), real_sync(fd)))
    monkeypatch.setattr(os, "rename", lambda a, b: (done.append("rename"), real_rename(a, b)))
    files = Folder(tmp_path)
    with files.create(NAME) as sink:
        sink.write(b"x")
    assert done[:3] == ["sync", "rename", "sync"]
    path = files.path(NAME)
    assert path == tmp_path / "01" / "23" / NAME
    assert path.read_bytes() == b"x"


def test_what_a_crashed_writer_left_goes_after_a_day(tmp_path: Path) -> None:
    files = Folder(tmp_path)
    abandoned = files.create(NAME)
    abandoned.write(b"half")
    assert files.sweep() == 0
    for left in (tmp_path / "new").iterdir():
        os.utime(left, (1, 1))
    assert files.sweep() == 1
    abandoned.abort()


def test_a_store_that_does_not_exist_is_a_set_up_error() -> None:
    with pytest.raises(SetupError):
        Remote("nonsense://where")
