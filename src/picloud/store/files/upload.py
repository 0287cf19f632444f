"""A blob on its way to an object store in parts, sent while it is written.

obstore pulls the bytes from an iterator, in a thread of ours, and makes parts of them. An iterator that raises is how it learns
that the blob is not wanted any more: then it takes back the parts that are there, which would be paid for otherwise.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator


class Left(Exception):
    """Nobody wants the rest."""


class Upload:
    """One upload under way. Its calls come from one thread at a time.

    Args:
        put: stores what an iterator gives; returns when that is there as a whole.
    """

    def __init__(self, put: Callable[[Iterator[bytes]], object]) -> None:
        self._pieces: queue.Queue[bytes | None] = queue.Queue(1)
        self._closed = self._left = self._taken_all = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(put,), daemon=True)
        self._thread.start()

    def add(self, piece: bytes) -> None:
        """The next bytes; waits while those before have not been taken. Raises what stopped the upload."""
        self._tell()
        self._pieces.put(piece)

    def end(self) -> None:
        """That was all; returns when it is there. Raises what stopped the upload."""
        self._close()
        self._tell()

    def abort(self) -> None:
        """Forget it; harmless after the end."""
        if not self._closed:
            self._left = True
            self._close()

    def _close(self) -> None:
        self._closed = True
        self._pieces.put(None)
        self._thread.join()

    def _tell(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self, put: Callable[[Iterator[bytes]], object]) -> None:
        try:
            put(self._taken())
        except BaseException as error:  # noqa: BLE001 - the writer gets it, whatever it is
            self._error = error
        while not self._taken_all:  # the writer shall not wait for a reader that has gone
            self._taken_all = self._pieces.get() is None

    def _taken(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            yield piece
        self._taken_all = True
        if self._left:
            raise Left
