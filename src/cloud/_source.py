"""What is put: its size, and its bytes from anywhere, as often as they are needed."""

from __future__ import annotations

import io
import mimetypes
import os
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import Any, BinaryIO, Self

from cloud._digest import Digest
from picloud.wire.bulk import PIECE
from picloud.wire.error import CloudException, TooLarge
from picloud.wire.object import LARGEST


class Source:
    """A file that is read while it is sent. ``with`` closes it.

    Args:
        file: seekable, opened for bytes; read from where it stands to its end.
        name: of it, for people.

    Raises:
        TooLarge: it is larger than an object may be.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self.name = file, name
        self._start = self._at = file.tell()
        self.size = file.seek(0, io.SEEK_END) - self._start
        self._at += self.size
        if self.size > LARGEST:
            raise TooLarge(f"{name} has {self.size} bytes", hint=f"an object holds at most {LARGEST}")

    def read(self, at: int, count: int) -> bytes:
        """``count`` bytes from ``at`` on.

        Raises:
            CloudException: there are not so many any more, or it cannot be read.
        """
        try:
            if self._at != self._start + at:
                self._file.seek(self._start + at)
            data = self._file.read(count)
            while 0 < len(data) < count and (more := self._file.read(count - len(data))):
                data += more
        except OSError as error:  # not to be taken for trouble of the connection
            raise CloudException(f"{self.name} cannot be read: {error.strerror or error}") from error
        self._at = self._start + at + len(data)
        if len(data) != count:
            raise changed(self.name)
        return data

    def check_end(self) -> None:
        """Nothing was added to it meanwhile.

        Raises:
            CloudException: something was.
        """
        if self._file.seek(0, io.SEEK_END) != self._start + self.size:
            raise changed(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def changed(name: str) -> CloudException:
    """A file is not what it was when it began to be sent."""
    return CloudException(
        f"{name} was changed while it was sent", hint="nothing was stored; put it again when nobody writes to it"
    )


def of_file(path: Any) -> Source:
    """A file of this machine.

    Raises:
        TypeError: that is no path.
        OSError: it is not there, cannot be read, or is no regular file.
    """
    path = os.fspath(path)
    if not isinstance(path, str):
        raise TypeError(f"a path is a str, not {type(path).__name__}")
    if os.path.exists(path) and not os.path.isfile(path):
        what = IsADirectoryError if os.path.isdir(path) else OSError
        raise what(f"{path!r} is no regular file")
    file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed by the source)
    try:
        return Source(file, repr(path))
    except BaseException:
        file.close()
        raise


def of_object(f: Any, name: str) -> Source:
    """Bytes, a str (as UTF-8) or a file object.

    Raises:
        TypeError: it is none of them, or a file opened for text.
        io.UnsupportedOperation: the file is not seekable.
    """
    if isinstance(f, str):
        f = f.encode()
    if isinstance(f, bytes | bytearray | memoryview):
        return Source(io.BytesIO(f), name)
    if isinstance(f, io.TextIOBase):
        raise TypeError("the file is opened for text: open it with mode 'rb'")
    if not callable(getattr(f, "read", None)):
        raise TypeError(f"putf takes bytes, a str or a file, not {type(f).__name__}")
    if not callable(getattr(f, "seek", None)) or (callable(getattr(f, "seekable", None)) and not f.seekable()):
        raise io.UnsupportedOperation("the file must be seekable: its size is told before its bytes; write it to a file first")
    return Source(f, getattr(f, "name", None) and repr(f.name) or "the file")


def md5_of(source: Source, tell: Callable[[int], None]) -> str:
    """The md5 of all bytes. ``tell``: gets how many were read."""
    digest = Digest()
    try:
        for at in range(0, source.size, PIECE):
            piece = source.read(at, min(PIECE, source.size - at))
            digest.update(piece)
            tell(len(piece))
        return digest.hexdigest()
    finally:
        digest.close()


def headers_for(*names: str) -> dict[str, str]:
    """Type and encoding of an object by the first of the names that tells one."""
    for name in names:
        _, dot, endings = name[name.rfind("/") + 1 :].partition(".")
        if dot and (found := _headers_of(endings)):
            return dict(found)
    return {}


@lru_cache(1000)
def _headers_of(endings: str) -> dict[str, str]:
    kind, encoding = mimetypes.guess_type(f"name.{endings}")
    found = {"content-type": kind, "content-encoding": encoding}
    return {header: value for header, value in found.items() if value}
