"""Public objects that are replaced, hidden or removed while somebody reads them: a whole version, or an error, and then 404."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from cloud import bucket

pytestmark = pytest.mark.usefixtures("empty_bucket")
MIB = 1 << 20


@contextmanager
def asked(url: str) -> Iterator[http.client.HTTPResponse]:
    """The answer to a request, its body not read yet."""
    at = urlsplit(url)
    with closing(http.client.HTTPConnection(at.netloc, timeout=60)) as connection:
        connection.request("GET", at.path)
        with connection.getresponse() as found:
            yield found


def status(url: str) -> int:
    with asked(url) as found:
        found.read()
        return found.status


@pytest.mark.parametrize("change", ["private", "replace", "remove"])
def test_a_change_while_it_is_read(change: str) -> None:
    old = b"0123456789abcdef" * (4 * MIB)
    bucket.putf(old, "page")
    url = bucket.make_public("page")
    with asked(url) as found:
        assert found.status == 200
        data = found.read(100_000)
        if change == "private":
            bucket.make_private("page")
        elif change == "replace":
            bucket.putf(b"new", "page")
        else:
            bucket.remove("page")
        try:
            data += found.read()
        except (http.client.IncompleteRead, OSError):
            data = old  # an error is honest too
        assert data == old
    if change == "replace":
        with asked(url) as found:
            assert (found.status, found.read()) == (200, b"new")
    else:
        assert status(url) == 404


def test_readers_while_it_changes_again_and_again() -> None:
    versions: dict[str, bytes] = {}
    url, ended, failed = "", threading.Event(), list[Any]()

    def store(n: int) -> None:
        data = bytes([n]) * (100, 20_000, 400_000)[n % 3]
        versions[bucket.putf(data, "page")] = data

    def read() -> None:
        while not ended.is_set():
            with asked(url) as found:
                data, etag = found.read(), (found.headers["etag"] or "").strip('"')
                whole = found.status == 200 and len(set(data)) == 1 and len(data) == (100, 20_000, 400_000)[data[0] % 3]
                seen.append((found.status, etag, data))
                if not whole and found.status != 404:
                    failed.append((found.status, etag, len(data)))

    seen: list[tuple[int, str, bytes]] = []
    store(1)
    url = bucket.make_public("page")
    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for n in range(2, 60):
        if n % 3 == 0:
            bucket.make_private("page")
            assert status(url) == 404
            bucket.make_public("page")
        store(n)
    ended.set()
    for reader in readers:
        reader.join(60)
    assert not failed, failed[:5]
    assert {code for code, _, _ in seen} == {200, 404}
    assert all(versions[etag] == data for code, etag, data in seen if code == 200)
