"""What is checked before anything is sent, and what happens on this machine's own disk."""

from __future__ import annotations

import io
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import _download, _objects, _source, _target, bucket
from picloud.wire.error import BadRequest, CloudTimeoutError, SetupError
from picloud.wire.object import Content, Object


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks a server here has sent what should have been refused."""

    def asked() -> Any:
        raise AssertionError("a request was made")

    monkeypatch.setattr(_objects, "link", asked)


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "nul\0", "\x01", "\ud800", "\ufffe", "x" * 256, "a/" * 600 + "b", 7, None,
     b"bytes"],
    ids=repr,
)  # fmt: skip
def test_bad_keys_are_refused_before_anything_is_sent(key: Any) -> None:
    for verb in ("getf", "exists", "info", "get_md5", "is_public", "make_public", "make_private", "make_folder"):
        with pytest.raises(BadRequest):
            getattr(bucket, verb)(key)
    for ask in (lambda: bucket.putf(b"x", key), lambda: bucket.remove([key]), lambda: bucket.rename("a", key),
                lambda: bucket.copy(key, "a"), lambda: bucket.put_many([(key, b"")])):  # fmt: skip
        with pytest.raises(BadRequest):
            ask()


@pytest.mark.parametrize("prefix", ["/a", "a//b", "..", ["a", ""], ["a", "/b"], 7, ["a", 7]], ids=repr)
def test_bad_prefixes(prefix: Any) -> None:
    with pytest.raises(BadRequest):
        bucket.putf(b"x", "key", prefix)
    with pytest.raises(BadRequest):
        bucket.list(prefix)


def test_keys_are_made_of_prefix_and_path() -> None:
    assert _objects.key_of("c", "a/b") == _objects.key_of("c", "a/b/") == _objects.key_of("c", ["a", "b"]) == "a/b/c"
    assert _objects.key_of("c", "") == _objects.key_of("c", []) == _objects.key_of("c") == "c"
    assert _objects.key_for("/x/y.csv", None, "a") == "a/y.csv"
    assert _objects.keys_of("ab", "x") == ["x/ab"]


@pytest.mark.parametrize(
    ("f", "error"),
    [(7, TypeError), (None, TypeError), (io.StringIO("text"), TypeError), (["a"], TypeError), (object(), TypeError)],
    ids=["int", "None", "text file", "list", "object"],
)
def test_bad_sources(f: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        bucket.putf(f, "key")


def test_a_pipe_is_no_source() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as file, pytest.raises(OSError, match="seekable"):
        bucket.putf(file, "key")


def test_files_that_cannot_be_put(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        bucket.put(str(tmp_path / "nothing"))
    with pytest.raises(IsADirectoryError):
        bucket.put(str(tmp_path))
    with pytest.raises(OSError, match="no regular file"):
        bucket.put("/dev/zero")
    with pytest.raises(TypeError):
        bucket.put(b"bytes", "key")  # type: ignore[arg-type]


def test_a_file_is_read_from_where_it_stands_and_closed() -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    with _source.of_object(file, "it") as source:
        assert (source.size, source.read(0, 3), source.read(4, 2), source.read(1, 1)) == (6, b"456", b"89", b"5")
        source.check_end()
    assert file.closed


@pytest.mark.parametrize(
    ("names", "headers"),
    [(("a.txt",), {"content-type": "text/plain"}),
     (("a.tar.gz",), {"content-type": "application/x-tar", "content-encoding": "gzip"}),
     (("key", "file.png"), {"content-type": "image/png"}), (("key",), {})],
    ids=str,
)  # fmt: skip
def test_type_and_encoding_are_guessed(names: tuple[str, ...], headers: dict[str, str]) -> None:
    assert _source.headers_for(*names) == headers


@pytest.mark.parametrize(("start", "end"), [(-1, None), (0, -1), (5, 4), ("0", None), (0, 1.5), (True, None)], ids=str)
def test_bad_ranges(start: Any, end: Any) -> None:
    for ask in (bucket.get, bucket.getf, bucket.mpsafe_get):
        with pytest.raises(ValueError, match=r"start_byte|end_byte"):
            ask("key", start_byte=start, end_byte=end)


def test_ranges_end_with_the_object() -> None:
    found = Content(Object("key", 1, 1, 10, 0, 0), b"0123456789")
    assert _download.Range(2, 99).within(found) == (2, 10)
    assert _download.Range(10).within(found) == (10, 10)
    with pytest.raises(BadRequest, match="has 10 bytes, none from byte 11 on"):
        _download.Range(11).within(found)


@pytest.mark.parametrize("count", [0, -1, 10_001, "5", True, None], ids=repr)
def test_bad_page_sizes(count: Any) -> None:
    with pytest.raises(ValueError, match="max_keys"):
        bucket.list(max_keys=count)


def test_the_whole_bucket_is_not_removed_by_accident() -> None:
    for prefix in ("", None, [], "/"):
        with pytest.raises(ValueError, match="empty prefix"):
            bucket.remove_prefix(prefix)


def test_bad_headers() -> None:
    with pytest.raises(BadRequest, match="header"):
        bucket.make_public("key", headers={"content-type": "a\nb"})


def test_do_sync_is_for_whole_objects() -> None:
    with pytest.raises(ValueError, match="do_sync"):
        bucket.mpsafe_get("key", start_byte=1, do_sync=True)


def test_the_simulator_says_that_it_has_no_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(cloud._session, "_simulates", True)
    with pytest.raises(SetupError, match="the simulator has no bucket"):
        bucket.list()


# -- on this machine's disk -----------------------------------------------------------------------------------------------


def test_where_a_download_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("file")
    here = os.path.realpath(tmp_path)
    assert _target.path_for(None, "k") == _target.path_for(".", "k") == _target.path_for(tmp_path, "k") == f"{here}/k"
    assert _target.path_for("new/", "k") == f"{here}/new/k"
    assert _target.path_for("link", "k") == f"{here}/file"
    assert _target.path_for("/dev/stdout", "k") == "/dev/stdout"
    for wrong in ("", "a\0b"):
        with pytest.raises(ValueError, match="path"):
            _target.path_for(wrong, "k")


def test_a_file_shows_the_old_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    with _target.replacing(str(path)) as file:
        _target.write_all(file, b"old")
        assert not path.exists()
    path.chmod(0o640)
    with pytest.raises(ZeroDivisionError), _target.replacing(str(path)) as file:
        _target.write_all(file, bytes([1 // (file.write(b"half") - 4)]))
    assert path.read_bytes() == b"old"
    with _target.replacing(str(path)) as file:
        _target.write_all(file, b"new")
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(path.parent) == ["file"]


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe, found = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    with _target.replacing(str(pipe)) as file:
        _target.write_all(file, b"through")
    reader.join(10)
    assert found == [b"through"] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_one_has_the_lock_and_the_others_wait(tmp_path: Path) -> None:
    path, order = str(tmp_path / "file"), list[str]()
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with _target.locked(path, None):
            order.append("second")

    with _target.locked(path, 1.0):
        with pytest.raises(CloudTimeoutError, match="another process"), _target.locked(path, 0.0):
            order.append("never")
        thread = threading.Thread(target=second)
        thread.start()
        assert entered.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert os.listdir(tmp_path) == []
