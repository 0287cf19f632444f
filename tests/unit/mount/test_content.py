"""An open file against a plain bytearray, whatever is done to both; and how little travels."""

from __future__ import annotations

import errno
import os
import random
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picloud.mount import content as contents
from picloud.mount import scratch
from picloud.mount.base import Base
from picloud.mount.blocks import BLOCK, Blocks
from picloud.mount.content import RUN, Content
from picloud.mount.scratch import Chunk
from picloud.mount.upload import beside_of, early, flush
from picloud.wire.error import CloudException, StorageFull, Unavailable
from picloud.wire.object import Extent, New
from tests.unit.mount.server import Server

DICE = random.Random(1)
PATTERN = DICE.randbytes(1 << 16)


def some(size: int, seed: int) -> bytes:
    """Bytes that differ from place to place."""
    start = seed * 7919 % 40_000
    return (PATTERN * (size // len(PATTERN) + 2))[start : start + size]


class File:
    """A content over an object of the stand-in server."""

    def __init__(self, folder: Path, data: bytes = b"", pieces: tuple[int, ...] = (), new: bool = False) -> None:
        self.server = Server()
        if not new:
            self.server.put(New("f", len(data), data=data))
        self.blocks = Blocks(folder / "blocks", 1 << 30, self.server.fetch)
        self.asked: list[tuple[str, int]] = []
        base = Base() if new else Base(self.server.opened("f", pieces))
        self.content = Content(base, self.blocks, folder / "written", lambda *piece: self.asked.append(piece), self.early)
        self.told: list[str] = []
        if new:
            self.content.touch()

    def early(self, chunks: list[Chunk]) -> Future[Extent]:
        found: Future[Extent] = Future()
        try:
            found.set_result(early(self.server.as_remote(), self.blocks, chunks))
        except CloudException as error:
            found.set_exception(error)
        return found

    def write(self, at: int, data: bytes, append: bool = False) -> None:
        self.content.write(at, memoryview(data), append)

    def flush(self) -> None:
        flush(self.server.as_remote(), self.content, "f", {}, self.told.append)

    def reopen(self) -> None:
        self.content.begin(Base(self.server.opened("f")))

    @property
    def stored(self) -> bytes:
        return self.server.bytes_of[1]


places = st.integers(0, 3 * BLOCK // 1000).map(lambda n: n * 1000)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), places, st.integers(1, 300_000)),
        st.tuples(st.just("append"), st.integers(1, 3000), st.just(0)),
        st.tuples(st.just("truncate"), places, st.just(0)),
        st.tuples(st.just("flush"), st.just(0), st.just(0)),
        st.tuples(st.just("read"), places, st.integers(1, 300_000)),
    ),
    max_size=8,
)


@pytest.mark.parametrize("pieces", [(), (BLOCK + 1, 5, BLOCK - 6 + 77), None])
@given(done=steps)
@settings(max_examples=25, deadline=None)
def test_it_holds_what_was_written(tmp_path_factory: pytest.TempPathFactory, pieces: tuple[int, ...] | None, done: list) -> None:
    data = some(sum(pieces), 0) if pieces else b"small" if pieces is not None else b""
    file = File(tmp_path_factory.mktemp("file"), data, pieces or (), new=pieces is None)
    expected = bytearray(data)
    for step, (what, at, size) in enumerate(done):
        if what == "write":
            expected += bytes(max(0, at + size - len(expected)))
            expected[at : at + size] = some(size, step)
            file.write(at, some(size, step))
        elif what == "append":
            expected += some(at, step)
            file.write(0, some(at, step), append=True)
        elif what == "truncate":
            expected = (expected + bytes(max(0, at - len(expected))))[:at]
            file.content.truncate(at)
        elif what == "flush":
            file.flush()
            if not file.content.base.loaded:
                file.reopen()
        else:
            assert file.content.read(at, size) == expected[at : at + size]
    file.flush()
    assert file.stored == expected
    if file.content.base.loaded:
        assert file.content.read(0, len(expected) + 5) == expected
    file.content.close()


def test_only_changed_blocks_travel(tmp_path: Path) -> None:
    size = 5 * BLOCK
    file = File(tmp_path, some(size, 0), (size,))
    file.write(2 * BLOCK + 10, b"x")
    file.flush()
    assert file.server.sent == [BLOCK]
    assert {start for _, start in file.server.fetched} <= {2 * BLOCK, 3 * BLOCK}
    assert file.stored == some(size, 0)[: 2 * BLOCK + 10] + b"x" + some(size, 0)[2 * BLOCK + 11 :]


def test_who_writes_on_and_on_finds_most_of_it_sent(tmp_path: Path) -> None:
    run, data = RUN * BLOCK, some(2 * RUN * BLOCK + 1000, 0)
    file = File(tmp_path, new=True)
    for at in range(0, len(data), BLOCK // 2):
        file.write(at, data[at : at + BLOCK // 2])
    assert file.server.sent == [run, run]
    written = {os.fstat(chunk.fd).st_ino for chunk in file.content._scratch._chunks.values()}
    kept = {path.stat().st_ino for path in (tmp_path / "blocks").rglob("*.[0-3]")}
    assert len(kept) == 2 * RUN and kept < written  # the same files: nothing was copied
    file.flush()
    assert file.server.sent == [run, run, 1000] and file.stored == data
    assert b"".join(file.blocks.read(blob, 0, len(held)) for blob, held in file.server.blobs.items()) == data
    assert file.server.fetched == []


@pytest.mark.parametrize("place", [5, 2 * BLOCK, RUN * BLOCK - 3])
def test_what_was_sent_early_and_is_written_again_goes_again(tmp_path: Path, place: int) -> None:
    data = bytearray(some(RUN * BLOCK, 0))
    file = File(tmp_path, new=True)
    file.write(0, bytes(data))
    (blob,) = file.server.blobs
    file.write(place, b"again")
    assert file.blocks.read(blob, 0, len(data)) == data  # the piece that others may read is what the server has
    data += bytes(max(0, place + 5 - len(data)))
    data[place : place + 5] = b"again"
    file.flush()
    assert file.stored == data and file.content.read(0, len(data)) == data


def test_what_could_not_be_sent_early_goes_with_the_rest(tmp_path: Path) -> None:
    file = File(tmp_path, new=True)
    file.server.early_failure = Unavailable("no answer")
    file.write(0, some(RUN * BLOCK, 0))
    assert file.server.sent == []
    file.flush()
    assert file.stored == some(RUN * BLOCK, 0)


def test_blocks_share_a_file_where_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MOST", Chunk.count + 1)
    file = File(tmp_path, new=True)
    for block in (0, 1, 2):
        file.write(block * BLOCK, some(BLOCK, block))
    file.content.truncate(2 * BLOCK + 7)
    file.flush()
    assert file.stored == some(BLOCK, 0) + some(BLOCK, 1) + some(BLOCK, 2)[:7]
    assert file.content.read(BLOCK, BLOCK) == some(BLOCK, 1)


def test_whole_blocks_are_written_without_being_fetched(tmp_path: Path) -> None:
    file = File(tmp_path, some(2 * BLOCK, 0), (2 * BLOCK,))
    file.write(0, some(BLOCK, 1))
    file.flush()
    assert file.server.fetched == [] and file.stored == some(BLOCK, 1) + some(2 * BLOCK, 0)[BLOCK:]


def test_what_was_written_is_read_again_without_being_fetched(tmp_path: Path) -> None:
    file = File(tmp_path, new=True)
    data = some(6 * BLOCK + 7, 2)
    file.write(0, data)
    file.flush()
    again = File(tmp_path, b"")
    again.content.begin(file.content.base)
    assert again.content.read(0, len(data)) == data and file.server.fetched == again.server.fetched == []


def test_holes_travel_once(tmp_path: Path) -> None:
    file = File(tmp_path, new=True)
    file.content.truncate(20 * BLOCK)
    file.write(10 * BLOCK, b"x")
    file.flush()
    assert file.server.sent == [BLOCK, BLOCK] and file.stored == bytes(10 * BLOCK) + b"x" + bytes(10 * BLOCK - 1)


def test_an_append_fetches_nothing_and_meets_nobody(tmp_path: Path) -> None:
    file = File(tmp_path, some(BLOCK + 5, 0), (BLOCK + 5,))
    file.server.put(New("f", 3, data=b"abc"))  # somebody else
    file.write(0, b"def", append=True)
    file.flush()
    assert file.stored == b"abcdef" and file.server.fetched == [] and file.told == []


def test_the_displaced_version_is_kept(tmp_path: Path) -> None:
    file = File(tmp_path, b"old")
    file.server.put(New("f", 6, data=b"theirs"))
    file.write(0, b"our")
    file.flush()
    beside = file.server.find("f.conflict-1-2")
    assert file.stored == b"our" and beside is not None and file.server.bytes_of[beside.id] == b"theirs"
    assert "f.conflict-1-2" in file.told[0]


def test_an_empty_file_displaces_nobody(tmp_path: Path) -> None:
    file = File(tmp_path, new=True)  # as a shell opens it for `cat >>`, and closes it before cat has written
    file.server.put(New("f", 6, data=b"theirs"))
    file.flush()
    assert file.stored == b"theirs" and file.told == [] and not file.content.changed
    file.write(0, b" and ours", append=True)
    file.flush()
    assert file.stored == b"theirs and ours"


def test_who_read_the_version_displaces_it_silently(tmp_path: Path) -> None:
    file = File(tmp_path, b"old")
    for text in (b"one", b"two"):
        file.write(0, text)
        file.flush()
    assert file.stored == b"two" and file.told == [] and list(file.server.objects) == [1]


@pytest.mark.parametrize(("failure", "number"), [(StorageFull(), errno.ENOSPC), (Unavailable(), errno.EIO)])
def test_what_could_not_be_stored_is_told_and_tried_again(tmp_path: Path, failure: Exception, number: int) -> None:
    file = File(tmp_path, b"old")
    file.write(0, b"new")
    file.server.failure = failure
    for _ in range(2):
        with pytest.raises(OSError) as failed:
            file.flush()
        assert failed.value.errno == number
    file.server.failure = None
    file.flush()
    assert file.stored == b"new"


def test_a_removed_object_is_stale(tmp_path: Path) -> None:
    file = File(tmp_path, b"old")
    file.write(0, b"new")
    del file.server.objects[1]
    with pytest.raises(OSError) as failed:
        file.flush()
    assert failed.value.errno == errno.ESTALE


def test_what_was_removed_here_is_not_stored(tmp_path: Path) -> None:
    file = File(tmp_path, b"old")
    file.write(0, b"new")
    file.content.gone = True
    file.flush()
    assert file.stored == b"old" and file.content.read(0, 3) == b"new"


def test_reading_on_is_foreseen(tmp_path: Path) -> None:
    file = File(tmp_path, some(8 * BLOCK, 0), (8 * BLOCK,))
    for at in range(0, 2 * BLOCK, BLOCK // 2):
        file.content.read(at, BLOCK // 2)
    assert {index for _, index in file.asked} >= {2, 3, 4}
    file.asked.clear()
    file.content.read(7 * BLOCK, 10)
    assert file.asked == []


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = File(tmp_path, b"old")
    for act in (lambda: file.content.truncate(contents.LARGEST + 1), lambda: file.write(contents.LARGEST, b"x")):
        with pytest.raises(OSError) as failed:
            act()
        assert failed.value.errno == errno.EFBIG


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a/points.csv", "a/points.conflict-1-2.csv"),
        ("points", "points.conflict-1-2"),
        (".hidden", ".hidden.conflict-1-2"),
        ("a.b.c", "a.b.conflict-1-2.c"),
    ],
)
def test_the_name_beside(key: str, expected: str) -> None:
    assert beside_of(key, "1-2") == expected


def test_the_name_beside_is_not_too_long() -> None:
    assert len(beside_of(f"a/{'é' * 127}.t", "1-2").encode()) <= 2 + 255
    assert len(beside_of(f"a.{'t' * 253}", "1-2").encode()) <= 255
