"""The edge takes and gives exactly what a ticket allows."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import pytest

from picloud.edge.app import Edge
from picloud.store.files import Folder
from picloud.wire import ticket
from picloud.wire.error import Unavailable

SECRET = b"k" * 32
BLOB = "ab" * 16


def call(edge: Edge, method: str, url: str, *parts: bytes, asked: str = "") -> tuple[int, bytes]:
    return answered(edge, method, url, *parts, asked=asked)[:2]


def answered(edge: Edge, method: str, url: str, *parts: bytes, asked: str = "") -> tuple[int, bytes, bool]:
    """Status and body, and whether the answer came to its end."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    at = urlsplit(url)
    scope = {"type": "http", "method": method, "path": at.path, "query_string": at.query.encode()}
    scope["headers"] = [(b"range", asked.encode())] if asked else []
    asyncio.run(edge(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], body, not sent[-1].get("more_body")


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(Folder(tmp_path), SECRET)


def url(verb: str, blob: str, size: int = 0) -> str:
    return ticket.url("http://edge", SECRET, verb, blob, size, time.time())


def test_what_was_put_can_be_got(edge: Edge) -> None:
    assert call(edge, "PUT", url("put", BLOB, 6), b"abc", b"def")[0] == 200
    assert call(edge, "GET", url("get", BLOB)) == (200, b"abcdef")
    assert call(edge, "GET", url("get", BLOB), asked="bytes=2-3") == (206, b"cd")
    assert call(edge, "GET", url("get", BLOB), asked="bytes=4-") == (206, b"ef")
    assert call(edge, "GET", url("get", BLOB), asked="bytes=6-")[0] == 400


def test_the_sender_is_told_what_arrived(edge: Edge) -> None:
    status, answer = call(edge, "PUT", url("put", BLOB, 6), b"abc", b"def")
    assert (status, json.loads(answer)) == (200, {"size": 6, "crc32": crc32(b"abcdef")})


@pytest.mark.parametrize(("size", "status"), [(5, 413), (7, 400)])
def test_a_body_of_another_size_is_refused_and_not_kept(edge: Edge, tmp_path: Path, size: int, status: int) -> None:
    assert call(edge, "PUT", url("put", BLOB, size), b"abcdef")[0] == status
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", url("put", BLOB, 1), 403),
        ("PUT", url("get", BLOB), 403),
        ("GET", "http://edge/blob/" + BLOB, 403),
        ("GET", "http://edge/blob/../secret", 404),
        ("GET", "http://edge/", 404),
        ("GET", url("get", "cd" * 16), 404),
        ("DELETE", url("get", BLOB), 403),
    ],
)
def test_everything_else_is_refused(edge: Edge, method: str, path: str, status: int) -> None:
    assert call(edge, method, path)[0] == status


def test_who_sends_to_an_edge_that_stops_is_told_to_send_it_again(edge: Edge) -> None:
    sent: list[dict[str, Any]] = []

    async def act() -> None:
        waits = asyncio.Event()

        async def receive() -> dict[str, Any]:
            waits.set()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Any) -> None:
            sent.append(message)

        at = urlsplit(url("put", BLOB, 6))
        scope = {"type": "http", "method": "PUT", "path": at.path, "query_string": at.query.encode(), "headers": []}
        putting = asyncio.ensure_future(edge(scope, receive, send))
        await waits.wait()
        putting.cancel()
        await putting

    asyncio.run(act())
    assert sent[0]["status"] == 503 and json.loads(sent[1]["body"])["error"]["retry"]


class Fails(Folder):
    """Has a blob whose bytes can be read up to some piece."""

    def __init__(self, root: Path, good: int) -> None:
        super().__init__(root)
        self._good = good

    def size(self, name: str) -> int:
        return 9

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        for _ in range(self._good):
            yield b"abc"
        raise Unavailable("S3 is away")


@pytest.mark.parametrize("good", [0, 1, 2])
def test_bytes_that_cannot_be_read_are_told_or_break_the_answer_off(tmp_path: Path, good: int) -> None:
    """Never an end before the end: whoever reads asks again for what is missing."""
    status, body, whole = answered(Edge(Fails(tmp_path, good), SECRET), "GET", url("get", BLOB))
    if good:
        assert (status, body, whole) == (200, b"abc" * good, False)
    else:
        assert (status, json.loads(body)["error"]["message"], whole) == (503, "S3 is away", True)
