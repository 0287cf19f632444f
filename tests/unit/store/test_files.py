from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from picloud.store.files import Folder, Remote, open_files
from picloud.wire.error import CloudException, SetupError, StorageFull, Unavailable

NAME = "0123456789abcdef" * 2


def test_a_folder_tells_the_path_and_syncs_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real_sync, real_rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("sync"), real_sync(fd)))
    monkeypatch.setattr(os, "rename", lambda a, b: (done.append("rename"), real_rename(a, b)))
    files = Folder(tmp_path)
    done.clear()
    with files.create(NAME) as sink:
        sink.write(b"x")
    assert done[:3] == ["sync", "rename", "sync"]
    path = files.path(NAME)
    assert path == tmp_path / "01" / NAME
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


@pytest.mark.parametrize("url", ["nonsense://where", "s3://", "relative/folder", "az://container-without-account"])
def test_a_store_that_does_not_exist_is_a_set_up_error_of_one_line(url: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError) as told:
        open_files(url, tmp_path)
    assert told.value.parameter.startswith(f"cannot use '{url}' for blobs: ")
    assert "\n" not in told.value.parameter


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_another_folder_is_as_durable_as_the_usual_one(scheme: str, tmp_path: Path) -> None:
    files = open_files(f"{scheme}{tmp_path}/larger%20disk" if scheme else f"{tmp_path}/larger disk", tmp_path / "blob")
    assert isinstance(files, Folder)
    files.check()
    with files.create(NAME) as sink:
        sink.write(b"x")
    assert files.path(NAME) == tmp_path / "larger disk" / "01" / NAME
    assert not list((tmp_path / "larger disk" / "new").iterdir())


def test_a_folder_that_cannot_be_written_is_a_set_up_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot keep blobs in .*/file/blob: Not a directory"):
        open_files(f"{tmp_path}/file/blob", tmp_path)
    files = Folder(tmp_path / "blob")
    (tmp_path / "blob" / "new").rmdir()
    with pytest.raises(SetupError, match="No such file or directory"):
        files.check()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """An S3 server that knows no bucket; the requests it got. It keeps silent about one called `silent`."""
    seen: list[str] = []
    quiet = threading.Event()

    class Refusing(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            seen.append(self.path)
            if "/silent/" in self.path:
                quiet.wait(30)
                return
            self.send_error(404, "NoSuchBucket")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        for name, value in (("ENDPOINT", f"http://127.0.0.1:{server.server_port}"),
                            ("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b")):  # fmt: skip
            monkeypatch.setenv(f"AWS_{name}", value)
        yield seen
        quiet.set()
        server.shutdown()
        thread.join()


def test_a_bucket_that_cannot_be_used_is_found_by_the_check(bucket: list[str]) -> None:
    files = Remote("s3://nobodys/prefix")
    with pytest.raises(SetupError, match=r"cannot use 's3://nobodys/prefix' for blobs: .*404") as told:
        files.check()
    assert "\n" not in told.value.parameter
    assert [path.startswith("/nobodys/prefix/") for path in bucket] == [True]


def test_a_bucket_that_fails_later_is_unavailable(bucket: list[str]) -> None:
    sink = Remote("s3://nobodys").create(NAME)
    sink.write(b"x")
    with pytest.raises(Unavailable, match="404"):
        sink.commit()


def test_a_bucket_that_keeps_silent_is_given_up(bucket: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picloud.store.files.remote.PATIENCE", 0.3)
    with pytest.raises(SetupError, match="for blobs: "):
        Remote("s3://silent").check()
    assert bucket


def test_memory_is_no_place_for_what_two_processes_share() -> None:
    with pytest.raises(SetupError, match="memory"):
        Remote("memory:///").check()


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, Unavailable)])
def test_what_a_disk_refuses_at_the_end_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: type[CloudException]
) -> None:
    files = open_files("", tmp_path)
    sink = files.create("ab" * 16)
    sink.write(b"data")

    def refuses(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(CloudException, match=os.strerror(number)) as error:
        sink.commit()
    assert type(error.value) is told
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
