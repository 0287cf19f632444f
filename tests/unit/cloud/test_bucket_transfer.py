"""Bytes on a bad line: cut, changed, late. What arrives is right, or an error says what happened."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shelf import Shelf

from cloud import _object_file, _session, _upload, bucket
from picloud.wire.error import CloudException, Conflict, Corrupt
from picloud.wire.object import CARRIED

PART = 3 << 20
DATA = os.urandom(2 * PART + 12345)
MIB = 1 << 20


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    made = Shelf()
    session = _session.Session(made.url, "1", "secret")
    monkeypatch.setattr(_session, "_current", session)
    monkeypatch.setattr(_upload, "PART", PART)
    yield made
    session.close()
    made.stop()


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def stored(shelf: Shelf, key: str) -> bytes:
    one = shelf.objects[key]
    if one.data is not None:
        return one.data
    pieces = zip(one.extents, one.starts, strict=True)
    return b"".join(shelf.blobs[url.rpartition("/")[2]][at : at + length] for (length, url), at in pieces)


def assert_right(shelf: Shelf, key: str, data: bytes) -> None:
    assert stored(shelf, key) == data
    assert shelf.objects[key].object.md5 == md5(data)


@pytest.mark.parametrize("size", [0, 1, CARRIED, CARRIED + 1, MIB, PART, PART + 1])
def test_every_size(shelf: Shelf, size: int) -> None:
    bucket.putf(DATA[:size], "key")
    assert_right(shelf, "key", DATA[:size])
    assert bucket.getf("key").read() == DATA[:size]
    assert shelf.count("PUT") == (0 if size <= CARRIED else 1 if size <= PART else 2)


@pytest.mark.parametrize("cuts", [[0], [MIB + 5], [PART - 1], [10, 2 * MIB, 2 * MIB + 1]], ids=str)
def test_a_part_that_is_cut_is_sent_again_alone(shelf: Shelf, cuts: list[int]) -> None:
    shelf.cut_puts = list(cuts)
    bucket.putf(DATA, "key")
    assert_right(shelf, "key", DATA)
    assert shelf.count("PUT") == 3 + len(cuts)


def test_a_connection_that_went_stale_does_not_disturb_the_order_of_hashing(shelf: Shelf) -> None:
    """The far end may close a connection between two parts; then the first bytes of the next are sent for nothing."""
    link = _session.session().link
    for _ in range(3):
        bucket.putf(DATA, "key")
        for origin in (link.origin, *link.others.values()):
            for connection in origin.idle:
                connection.sock.shutdown(1)
        bucket.putf(DATA, "key")
        assert_right(shelf, "key", DATA)


def test_a_lost_answer_of_a_put_is_asked_for_again(shelf: Shelf) -> None:
    shelf.lost_answers = 2
    bucket.putf(DATA, "key")
    assert_right(shelf, "key", DATA)


def test_bytes_that_change_on_the_way_up_are_sent_once_more(shelf: Shelf) -> None:
    shelf.wrong_sums = 1
    bucket.putf(DATA[:PART], "key")
    assert_right(shelf, "key", DATA[:PART])
    shelf.wrong_sums = 2
    with pytest.raises(Corrupt, match="other bytes than were sent, twice") as caught:
        bucket.putf(DATA[:MIB], "key")
    assert isinstance(caught.value, RuntimeError)
    assert_right(shelf, "key", DATA[:PART])


def appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize(
    "change",
    [lambda path: os.truncate(path, MIB), appended, lambda path: path.write_bytes(bytes(len(DATA)))],
    ids=["shorter", "longer", "other bytes"],
)
def test_a_file_that_changes_while_it_is_sent_is_not_stored(
    shelf: Shelf, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    shelf.cut_puts, shelf.between = [2 * MIB], lambda: change(path)
    with pytest.raises(CloudException, match="was changed while it was sent"):
        bucket.put(str(path), "key")
    assert "key" not in shelf.objects


def test_a_download_that_is_cut_goes_on_where_it_was(shelf: Shelf, tmp_path: Path) -> None:
    bucket.putf(DATA, "key")
    shelf.cut_gets = [MIB + 1, 0, 5]
    bucket.get("key", str(tmp_path / "file"))
    assert (tmp_path / "file").read_bytes() == DATA
    starts = [line.split("bytes=")[1] for line in shelf.log if line.startswith("GET")]
    assert starts[:2] == [f"0-{PART - 1}", f"{MIB + 1}-{PART - 1}"]


def test_bytes_that_change_on_the_way_down_are_fetched_once_more(shelf: Shelf, tmp_path: Path) -> None:
    bucket.putf(DATA, "key")
    path = tmp_path / "file"
    shelf.wrong_bytes = 1
    bucket.get("key", str(path))
    assert path.read_bytes() == DATA
    path.write_bytes(b"old")
    shelf.wrong_bytes = 6
    with pytest.raises(Corrupt, match="came with md5"):
        bucket.get("key", str(path))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_ticket_that_ends_in_between_is_renewed(shelf: Shelf) -> None:
    bucket.putf(DATA, "key")
    file = bucket.getf("key")
    assert file.read(10) == DATA[:10]
    shelf.ended_tickets = 1
    assert file.read() == DATA[10:]


def test_an_object_that_changed_meanwhile_is_not_mixed(shelf: Shelf) -> None:
    bucket.putf(DATA, "key")
    file = bucket.getf("key")
    assert file.read(10) == DATA[:10]
    bucket.putf(DATA[::-1], "key")
    shelf.ended_tickets = 1
    with pytest.raises(Conflict, match="was changed while it was read"):
        file.read()


def test_reading_whole_files_compares_the_md5(shelf: Shelf) -> None:
    bucket.putf(DATA, "key")
    shelf.wrong_bytes = 1
    with pytest.raises(Corrupt):
        bucket.getf("key").read()


def test_a_jump_asks_for_little_and_reading_on_for_more(shelf: Shelf) -> None:
    bucket.putf(DATA, "key")
    with bucket.getf("key") as file:
        file.seek(-MIB, io.SEEK_END)
        assert file.read(10) == DATA[-MIB : -MIB + 10]
        assert file.read() == DATA[-MIB + 10 :]
    asked = [line.split("bytes=")[1].split("-") for line in shelf.log if line.startswith("GET")]
    first = int(asked[0][1]) - int(asked[0][0]) + 1
    assert first <= _object_file.FIRST
    assert sum(int(last) - int(start) + 1 for start, last in asked) == MIB


def test_objects_of_one_blob_come_with_one_question(shelf: Shelf) -> None:
    bucket.putf(DATA[:PART], "whole")
    whole = shelf.objects["whole"]
    for at in range(0, 100_000, 10_000):
        part = DATA[at : at + 10_000]
        one = type(whole.object)(f"k{at:06}", at + 2, 1, 10_000, 0, 0, md5(part))
        shelf.objects[one.key] = type(whole)(one, None, [(10_000, whole.extents[0][1])], [at])
    keys = [key for key in shelf.objects if key != "whole"]
    assert [*bucket.get_many(keys)] == [(key, DATA[int(key[1:]) : int(key[1:]) + 10_000]) for key in keys]
    assert shelf.count("GET") == 1
    shelf.wrong_bytes = 1
    assert dict(bucket.get_many(keys))[keys[0]] == DATA[:10_000]


def test_a_missing_one_of_many_is_told_where_it_would_have_come(shelf: Shelf) -> None:
    bucket.put_many({"a": b"1", "c": b"3"})
    with pytest.raises(CloudException, match="no object 'b'"):
        dict(bucket.get_many(["a", "b", "c"]))


def test_of_many_the_later_content_of_a_key_stays(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud._batches.BATCH", 2)
    assert bucket.put_many([("a", b"1"), ("b", b"1"), ("a", b"2"), ("c", "3"), ("a", bytes(300_000)), ("d", b"")]) == 6
    assert stored(shelf, "a") == bytes(300_000)
    assert [stored(shelf, key) for key in "bcd"] == [b"1", b"3", b""]


def test_what_was_sent_before_a_failing_iterable_is_stored(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud._batches.BATCH", 1)
    with pytest.raises(TypeError, match="must be bytes or a str"):
        bucket.put_many([("a", b"1"), ("b", b"2"), ("c", 3)])
    assert stored(shelf, "a") == b"1"
