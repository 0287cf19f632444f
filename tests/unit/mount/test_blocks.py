"""The cache of blobs' pieces: right, shared, bounded."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from picloud.mount.blocks import BLOCK, Blocks

BLOB = "ab" * 16
DATA = bytes(range(256)) * (2 * BLOCK // 256) + b"end"


class Source:
    """Where blobs come from."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.open = threading.Event()
        self.open.set()

    def __call__(self, blob: str, start: int, end: int) -> bytes:
        assert self.open.wait(10)
        self.asked.append(start)
        return DATA[start:end]


def test_bytes_come_once_and_are_found_by_other_mounts(tmp_path: Path) -> None:
    first, second = Source(), Source()
    one, other = Blocks(tmp_path, 1 << 30, first), Blocks(tmp_path, 1 << 30, second)
    for cache in (one, other, one):
        assert cache.read(BLOB, BLOCK - 5, 10) == DATA[BLOCK - 5 : BLOCK + 5]
        assert cache.read(BLOB, 2 * BLOCK, 3) == b"end"
    assert first.asked == [0, BLOCK, 2 * BLOCK] and second.asked == []


def test_many_who_want_a_piece_wait_for_one_fetch(tmp_path: Path) -> None:
    source = Source()
    source.open.clear()
    cache, found = Blocks(tmp_path, 1 << 30, source), list[bytes]()
    threads = [threading.Thread(target=lambda: found.append(cache.read(BLOB, 7, 3))) for _ in range(5)]
    for thread in threads:
        thread.start()
    source.open.set()
    for thread in threads:
        thread.join(10)
    assert found == [DATA[7:10]] * 5 and len(source.asked) == 1


def test_a_failed_fetch_is_an_error_and_is_tried_again(tmp_path: Path) -> None:
    def fails(blob: str, start: int, end: int) -> bytes:
        raise OSError(5, "no")

    with pytest.raises(OSError):
        Blocks(tmp_path, 1 << 30, fails).read(BLOB, 0, 1)
    assert Blocks(tmp_path, 1 << 30, Source()).read(BLOB, 0, 1) == DATA[:1]


def test_a_blob_that_is_too_short_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        Blocks(tmp_path, 1 << 30, Source()).read(BLOB, len(DATA), 1)


def test_what_was_not_read_for_longest_goes(tmp_path: Path) -> None:
    cache = Blocks(tmp_path, 3 * BLOCK, Source())
    for n, blob in enumerate(("aa" * 16, "bb" * 16, "cc" * 16, "dd" * 16)):
        cache.read(blob, 0, 1)
        (path,) = tmp_path.glob(f"*/*/{blob}.0")
        os.utime(path, (n, n))
    cache.clear()
    assert sorted(path.name[:2] for path in tmp_path.glob("*/*/*.0")) == ["cc", "dd"]
    assert cache.read("aa" * 16, 0, 4) == DATA[:4]


def test_a_full_disk_spoils_nothing(tmp_path: Path) -> None:
    cache = Blocks(tmp_path, 1 << 30, Source())
    (folder,) = tmp_path.iterdir()
    (folder / BLOB[:2]).write_text("a file where the folder should be")
    assert cache.read(BLOB, 0, 5) == DATA[:5]
    assert [path.name for path in folder.iterdir()] == [BLOB[:2]]


def test_pieces_of_a_former_start_are_not_trusted(tmp_path: Path) -> None:
    Blocks(tmp_path, 1 << 30, Source()).read(BLOB, 0, 5)
    (folder,) = tmp_path.iterdir()
    (piece,) = folder.glob("*/*.0")
    piece.write_bytes(bytes(BLOCK))  # what a power cut leaves of a file that no fsync brought to rest
    folder.rename(tmp_path / "an earlier one")
    assert Blocks(tmp_path, 1 << 30, Source()).read(BLOB, 0, 5) == DATA[:5]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
