"""Blobs in S3, beyond what every place promises: what fails there, and what is left."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

import pytest

from picloud.store.files import PIECE, Files, Remote
from picloud.wire.error import NotFound, SetupError, TooLarge, Unavailable
from tests.s3 import CUT, HALF, Bucket, Rule, pass_all

NAME = "0123456789abcdef" * 2
LARGE = 40


@pytest.fixture
def files(s3_bucket: Bucket) -> Files:
    return Remote(s3_bucket.url)


def write_large(files: Files) -> None:
    with files.create(NAME) as sink:
        for _ in range(LARGE):
            sink.write(bytes(PIECE))


def failing(status: int, when: Callable[[str, str], bool]) -> Rule:
    return lambda method, path: status if when(method, path) else None


def of_part(number: int) -> Callable[[str, str], bool]:
    return lambda method, path: f"partNumber={number}&" in path and method == "PUT"


def test_a_small_blob_is_one_request(s3_bucket: Bucket, files: Files) -> None:
    with files.create(NAME) as sink:
        for _ in range(7):
            sink.write(bytes(PIECE))
    assert s3_bucket.door.seen == [("PUT", f"/{s3_bucket.name}/blobs/{NAME}")]


def test_a_large_one_goes_in_parts_and_shows_nothing_before(s3_bucket: Bucket, files: Files) -> None:
    sink = files.create(NAME)
    for _ in range(LARGE):
        sink.write(bytes(PIECE))
    assert s3_bucket.unfinished() == 1 and not s3_bucket.sizes()
    sink.commit()
    assert s3_bucket.sizes() == {NAME: LARGE * PIECE} and not s3_bucket.unfinished()
    assert sum("partNumber=" in path for _, path in s3_bucket.door.seen) == LARGE // 8


def test_a_part_of_a_blob_is_read_with_one_request(s3_bucket: Bucket, files: Files) -> None:
    write_large(files)
    s3_bucket.door.seen.clear()
    assert files.size(NAME) == LARGE * PIECE
    assert sum(map(len, files.read(NAME, 5 * PIECE, 9 * PIECE))) == 4 * PIECE
    assert [method for method, _ in s3_bucket.door.seen] == ["GET"]


def test_who_leaves_leaves_no_parts(s3_bucket: Bucket, files: Files) -> None:
    sink = files.create(NAME)
    for _ in range(LARGE):
        sink.write(bytes(PIECE))
    assert s3_bucket.unfinished() == 1
    sink.abort()
    sink.abort()
    assert not s3_bucket.unfinished() and not s3_bucket.sizes()


@pytest.mark.parametrize("part", [1, 3, LARGE // 8])
def test_a_part_that_is_refused_ends_the_upload_and_leaves_no_parts(s3_bucket: Bucket, files: Files, part: int) -> None:
    s3_bucket.door.rule = failing(403, of_part(part))
    with pytest.raises(Unavailable, match=r"403.*\(Told: by the test\)"):
        write_large(files)
    assert not s3_bucket.unfinished() and not s3_bucket.sizes()


@pytest.mark.parametrize("status", [CUT, 500, 503])
def test_trouble_that_passes_is_not_noticed(s3_bucket: Bucket, files: Files, status: int) -> None:
    seen: set[tuple[str, str]] = set()

    def once(method: str, path: str) -> int | None:
        before = (method, path) in seen
        seen.add((method, path))
        return None if before or method == "POST" else status

    s3_bucket.door.rule = once
    write_large(files)
    assert sum(map(len, files.read(NAME))) == LARGE * PIECE
    files.delete(NAME)
    assert not s3_bucket.unfinished()


def test_an_answer_that_breaks_off_is_taken_up_again(s3_bucket: Bucket, files: Files) -> None:
    data = secrets.token_bytes(9 * PIECE)
    with files.create(NAME) as sink:
        sink.write(data)
    left = [HALF, HALF, CUT, HALF]
    s3_bucket.door.rule = lambda method, path: left.pop() if method == "GET" and left else None
    assert b"".join(files.read(NAME, 3)) == data[3:] and not left


def test_more_than_s3_takes_is_refused(s3_bucket: Bucket, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picloud.store.files.remote.MOST", (LARGE - 1) * PIECE)
    with pytest.raises(TooLarge, match=f"at most {(LARGE - 1) * PIECE} bytes"):
        write_large(files)
    assert not s3_bucket.unfinished() and not s3_bucket.sizes()


def test_a_server_that_has_gone_is_unavailable_and_comes_back(s3_bucket: Bucket, files: Files) -> None:
    write_large(files)
    pieces = files.read(NAME)
    next(pieces)
    s3_bucket.door.close()
    with pytest.raises(Unavailable, match="the store of blobs fails: ") as told:
        list(pieces)
    assert told.value.retry and told.value.hint
    for use in (lambda: files.size("f" * 32), lambda: files.delete("f" * 32), lambda: write_large(files)):
        with pytest.raises(Unavailable):
            use()
    s3_bucket.door.open()
    assert sum(map(len, files.read(NAME))) == LARGE * PIECE


def test_it_goes_in_the_middle_of_an_upload(s3_bucket: Bucket, files: Files) -> None:
    with files.create(NAME) as sink:
        sink.write(b"old")
    s3_bucket.door.rule = closing_at(s3_bucket, of_part(3))
    with pytest.raises(Unavailable):
        write_large(files)
    s3_bucket.door.rule = pass_all
    s3_bucket.door.open()
    assert b"".join(Remote(s3_bucket.url).read(NAME)) == b"old"
    write_large(files)
    assert s3_bucket.sizes() == {NAME: LARGE * PIECE}


def closing_at(bucket: Bucket, when: Callable[[str, str], bool]) -> Rule:
    """Closes the door, once, while a request is under way."""
    once = threading.Lock()

    def rule(method: str, path: str) -> int | None:
        if when(method, path) and once.acquire(blocking=False):
            bucket.door.close()
        return None

    return rule


def test_a_blob_that_has_gone_meanwhile(s3_bucket: Bucket, files: Files) -> None:
    """Another server's sweeper had it: this one still knows how large it was."""
    with files.create(NAME) as sink:
        sink.write(b"bytes")
    assert files.size(NAME) == 5
    Remote(s3_bucket.url).delete(NAME)
    with pytest.raises(NotFound):
        next(files.read(NAME))


def test_a_thousand_are_deleted_with_one_request(s3_bucket: Bucket, files: Files) -> None:
    names = [secrets.token_hex(16) for _ in range(1000)]
    for name in names[:20]:
        with files.create(name) as sink:
            sink.write(b"x")
    s3_bucket.door.seen.clear()
    files.delete(*names)
    assert not s3_bucket.sizes()
    assert [method for method, _ in s3_bucket.door.seen] == ["POST"]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "AKIANOBODY", "InvalidAccessKeyId"),
        ("AWS_ENDPOINT", "http://127.0.0.1:9", "127.0.0.1:9"),
    ],
)
def test_what_is_set_wrongly_is_said(
    s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    Remote(s3_bucket.url).check()
    monkeypatch.setenv(variable, value)
    with pytest.raises(SetupError, match=said) as told:
        Remote(s3_bucket.url).check()
    assert "\n" not in told.value.parameter and "xml" not in told.value.parameter
    assert "AWS_ACCESS_KEY_ID" in str(told.value.hint)


def test_keys_that_may_not_list_are_found_out(s3_bucket: Bucket) -> None:
    """S3 answers 403 where it would say 404 to those who may list: a blob that has gone would seem to be trouble that passes."""
    s3_bucket.door.rule = failing(403, lambda method, path: method == "HEAD")
    with pytest.raises(SetupError, match="may it be listed"):
        Remote(s3_bucket.url).check()


def test_a_bucket_that_is_not_there(s3_bucket: Bucket) -> None:
    with pytest.raises(SetupError, match="NoSuchBucket: The specified bucket does not exist"):
        Remote("s3://nobodys/blobs").check()
    assert not s3_bucket.sizes()
