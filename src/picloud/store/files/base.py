"""What every place for blobs promises, and what they share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from picloud.wire.error import BadRequest

PIECE = 1 << 20
"""Bytes read at a time."""
THREADS = 32
"""Threads that a process should have for blobs: they wait for an object store, and a few slow ones shall not hold up the rest."""
HINT = "correct the setting `blobs` (PICLOUD_BLOBS): an s3://, gs:// or az:// URL, or a folder's absolute path"
_NAME = re.compile(r"[0-9a-f]{8,64}")


class Sink(Protocol):
    """A blob being written."""

    def write(self, data: bytes) -> None:
        """Add bytes."""

    def commit(self) -> int:
        """Make the blob durable and visible; its size in bytes."""

    def abort(self) -> None:
        """Forget it; harmless after commit."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Commit, or abort where the block raised."""


class Files(Protocol):
    """The contract; see the module's docstring."""

    def create(self, name: str) -> Sink:
        """Begin to write a blob."""

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``end`` (exclusive; None = all), in pieces."""

    def size(self, name: str) -> int:
        """Its size in bytes."""

    def delete(self, *names: str) -> None:
        """Remove them; no error for what is gone."""

    def path(self, name: str) -> Path | None:
        """Its file, where it is one."""

    def sweep(self) -> int:
        """Remove what crashed writers left; how many."""

    def check(self) -> None:
        """Write, read and delete a blob.

        Raises:
            SetupError: that does not work; one line says why.
        """


def checked(name: str) -> str:
    """The name, if it is one of a blob."""
    if not _NAME.fullmatch(name):
        raise BadRequest(f"{name[:80]!r} is no name of a blob")
    return name


class Closing:
    """``with`` for a sink."""

    def commit(self) -> int:
        raise TypeError("a sink says how it commits")

    def abort(self) -> None:
        raise TypeError("a sink says how it aborts")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.commit() if kind is None else self.abort()
