"""What every place for blobs promises: a folder, obstore's own store in memory, and an S3 server."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from picloud.store.files import PIECE, Files, open_files
from picloud.wire.error import BadRequest, NotFound

NAME = "0123456789abcdef" * 2


@pytest.fixture(params=["folder", "memory", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """Every place for blobs, empty."""
    match request.param:
        case "s3":
            return open_files(request.getfixturevalue("s3_bucket").url, tmp_path / "blob")
        case "memory":
            return open_files("memory:///", tmp_path / "blob")
        case _:
            return open_files("", tmp_path / "blob")


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


@pytest.mark.parametrize("size", [1, 8 * PIECE - 1, 8 * PIECE, 8 * PIECE + 1, 20_000_000])
def test_every_byte_comes_back(files: Files, size: int) -> None:
    data = random.Random(size).randbytes(size)
    with files.create(NAME) as sink:
        for at in range(0, size, 700_001):
            sink.write(data[at : at + 700_001])
    assert files.size(NAME) == size
    assert b"".join(files.read(NAME)) == data
    for start, end in ((0, 1), (size - 1, size), (size // 3, size // 2), (size // 2, None), (size, size), (size, size + 9)):
        assert b"".join(files.read(NAME, start, end)) == data[start:end]


def test_a_name_may_be_written_again(files: Files) -> None:
    """As a sender does whose connection broke before it was told: the bytes are the same."""
    for _ in range(2):
        with files.create(NAME) as sink:
            sink.write(b"same")
    assert b"".join(files.read(NAME)) == b"same"


def test_a_large_block_that_raises_leaves_nothing(files: Files) -> None:
    def interrupted() -> None:
        with files.create(NAME) as sink:
            for _ in range(20):
                sink.write(bytes(PIECE))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        interrupted()
    with pytest.raises(NotFound):
        files.size(NAME)


def test_two_writers_of_different_blobs_and_a_reader(files: Files) -> None:
    names = [f"{number:032x}" for number in range(3)]
    sinks = [files.create(name) for name in names]
    for turn in range(12):
        for number, sink in enumerate(sinks):
            sink.write(bytes([turn, number]) * (PIECE // 2))
    for sink in sinks[:2]:
        sink.commit()
    sinks[2].abort()
    for number, name in enumerate(names[:2]):
        assert b"".join(files.read(name)) == b"".join(bytes([turn, number]) * (PIECE // 2) for turn in range(12))
    with pytest.raises(NotFound):
        files.size(names[2])


def test_many_go_at_once(files: Files) -> None:
    names = [f"{number:032x}" for number in range(30)]
    for name in names[:-5]:
        with files.create(name) as sink:
            sink.write(name.encode())
    kept = names.pop(3)
    files.delete(*names)
    files.delete()
    assert b"".join(files.read(kept)) == kept.encode()
    for name in names:
        with pytest.raises(NotFound):
            files.size(name)
