"""Blobs in S3, GCS or Azure through obstore.

A blob of one part is one request. A larger one goes in parts while it is written, and shows nothing before the last request:
what breaks off is taken back here, and where even that fails by the store's own rule (see docs/guides/s3.md).
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from picloud.store.files.base import HINT, PIECE, Closing, Sink, checked
from picloud.store.files.upload import Upload
from picloud.wire.error import NotFound, SetupError, TooLarge, Unavailable

S3 = ("s3", "s3a")
PATIENCE = 15.0
"""Seconds within which an object store has to answer a check."""
PART = 8 * PIECE
"""Bytes of a part of an upload: two at once, at 0.6 MB/s they move within obstore's limit of 30 s for a request."""
AT_ONCE = 2
"""Parts of one blob under way at once."""
MOST = 10_000 * PART
"""Bytes of the largest blob: no store takes more parts."""
KNOWN = 10_000
"""Sizes remembered, of blobs that never change."""
AGAIN = {"max_retries": 4, "retry_timeout": timedelta(seconds=10)}
"""How long obstore tries by itself: whoever waits for us tries again for a minute, and shall hear in between why it waits."""
_QUERY = re.compile(r"\?\S*=\S*")
_ANSWER = re.compile(r"<Code>(.*?)</Code>\s*(?:<Message>(.*?)</Message>)?", re.DOTALL)


class _RemoteSink(Closing):
    def __init__(self, put: Callable[[bytes | Iterator[bytes]], object], stored: Callable[[int], None]) -> None:
        self._put, self._stored = put, stored
        self._held: list[bytes] = []  # what came so far, while it may still be a small one
        self._size = 0
        self._upload: Upload | None = None

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MOST:
            raise TooLarge(f"a blob in an object store has at most {MOST} bytes", hint="split it, or keep blobs in a folder")
        self._held.append(data)
        if self._size >= PART:
            self._send()

    def commit(self) -> int:
        with telling():
            if self._upload is None:
                self._put(b"".join(self._held))
            else:
                self._upload.end()
        self._stored(self._size)
        return self._size

    def abort(self) -> None:
        self._held = []
        if self._upload is not None:
            self._upload.abort()

    def _send(self) -> None:
        held, self._held = self._held, []
        if self._upload is None:
            self._upload = Upload(self._put)
        with telling():
            for data in held:
                self._upload.add(data)


class Remote:
    """See the module."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._sizes: dict[str, int] = {}
        try:
            import obstore

            self._obstore: Any = obstore
            self._store: Any = _store(url, retry_config=AGAIN)
        except Exception as error:
            raise self._unusable(error) from error

    def create(self, name: str) -> Sink:
        """Begin to write a blob."""
        checked(name)

        def put(data: bytes | Iterator[bytes]) -> None:
            many = not isinstance(data, bytes)
            self._obstore.put(self._store, name, data, use_multipart=many, chunk_size=PART, max_concurrency=AT_ONCE)

        return _RemoteSink(put, lambda size: self._remember(name, size))

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``end``, in pieces; what is not there is told by the first."""
        return self._pieces(checked(name), start, end)

    def _pieces(self, name: str, start: int, end: int | None) -> Iterator[bytes]:
        size = self.size(name)
        at, stop = start, size if end is None else min(end, size)
        while at < stop:
            stream, begun = self._stream(name, at, stop), at
            while at < stop:
                try:
                    piece = _next(stream)
                except Unavailable:
                    if at == begun:
                        raise
                    break  # ask for the rest: an answer has 30 s, and a reader may be slow
                at += len(piece)
                yield piece

    def _stream(self, name: str, start: int, stop: int) -> Iterator[Any]:
        with telling(), _missing(name):
            found = self._obstore.get(self._store, name, options={"range": (start, stop)})
        return iter(found.stream(min_chunk_size=PIECE))

    def size(self, name: str) -> int:
        """Its size in bytes."""
        known = self._sizes.get(checked(name))
        if known is None:
            with telling(), _missing(name):
                known = int(self._obstore.head(self._store, name)["size"])
            self._remember(name, known)
        return known

    def _remember(self, name: str, size: int) -> None:
        if len(self._sizes) >= KNOWN:
            self._sizes.clear()
        self._sizes[name] = size

    def delete(self, *names: str) -> None:
        """Remove them, a thousand with one request where the store can."""
        for name in names:
            self._sizes.pop(checked(name), None)
        with telling():
            try:
                self._obstore.delete(self._store, list(names))
            except FileNotFoundError:  # a store that tells: the others one by one
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        self._obstore.delete(self._store, name)

    def path(self, name: str) -> Path | None:
        """There is none."""
        return None

    def sweep(self) -> int:
        """Nothing is left behind under its own name; parts of uploads that broke off are the store's to remove."""
        return 0

    def check(self) -> None:
        """Put a small blob, get it, delete it, miss it, with few retries and little patience."""
        if urlsplit(self._url).scheme == "memory":
            raise self._unusable("what is in memory is lost with it, and each process has its own")
        error = _within(PATIENCE, self._try)
        if error is not None:
            raise self._unusable(error) from error

    def _try(self) -> None:
        name = secrets.token_hex(16)
        store = _store(self._url, retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=PATIENCE / 2)})
        self._obstore.put(store, name, b"check")
        try:
            if bytes(self._obstore.get(store, name).bytes()) != b"check":
                raise OSError("it gives back other bytes than it was given")
        finally:
            self._obstore.delete(store, name)
        try:
            self._obstore.head(store, name)
        except FileNotFoundError:
            return
        except Exception as error:
            raise OSError(f"what is not there is not said to be so, may it be listed? {said(error)}") from error
        raise OSError("what was deleted is still there")

    def _unusable(self, reason: object) -> SetupError:
        keys = "; AWS_ENDPOINT, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are read from the environment"
        hint = HINT + (keys if urlsplit(self._url).scheme in S3 else "")
        return SetupError(f"cannot use {self._url!r} for blobs: {said(reason)}", hint=hint, url=self._url)


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Say it in our words when an object store fails us.

    Raises:
        Unavailable: with the first line of what the library says.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise Unavailable(f"the store of blobs fails: {said(error)}", hint="try again; see picloud doctor") from error


@contextlib.contextmanager
def _missing(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"the bytes of blob {name} are not there") from error


def _next(stream: Iterator[Any]) -> bytes:
    with telling():
        piece = next(stream, None)
        if piece is None:
            raise OSError("the bytes ended early")
        return bytes(piece)


def said(reason: object) -> str:
    """What a library and a store say, in one line: their texts go on for pages of XML and debug output behind it."""
    text = str(reason).strip() or repr(reason)
    answer = _ANSWER.search(text)
    line = _QUERY.sub("", text.splitlines()[0].partition("<?xml")[0].partition("<Error>")[0]).rstrip(" :")[:400]
    return f"{line} ({': '.join(part for part in answer.groups() if part)})"[:600] if answer else line


def _store(url: str, **options: Any) -> Any:
    from obstore.store import from_url

    endpoints = [value for name, value in os.environ.items() if name.startswith("AWS_ENDPOINT")]
    if urlsplit(url).scheme in S3 and any(value.startswith("http://") for value in endpoints):
        options["client_options"] = {"allow_http": True}  # who writes http:// there means it
    return from_url(url, **options)


def _within(seconds: float, do: Callable[[], None]) -> Exception | None:
    """What went wrong in ``do``, in a thread that is left behind if it takes too long."""
    found: list[Exception | None] = []

    def run() -> None:
        try:
            do()
            found.append(None)
        except Exception as error:  # noqa: BLE001 - a library's own kinds; whatever it is, it is told
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else TimeoutError(f"it did not answer within {seconds:g} s")
