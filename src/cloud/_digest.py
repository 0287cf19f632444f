"""The md5 of bytes that pass by, made beside the work that moves them."""

from __future__ import annotations

import hashlib
import queue
import threading

AHEAD = 4
"""Pieces that may wait to be hashed."""


def md5(data: bytes = b"") -> str:
    """Of bytes that are at hand."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Digest:
    """An md5 whose thread hashes while the caller waits for the network or the disk."""

    def __init__(self) -> None:
        self._found = hashlib.md5(usedforsecurity=False)
        self._pieces: queue.Queue[bytes | None] = queue.Queue(AHEAD)
        self._thread: threading.Thread | None = None

    def update(self, piece: bytes) -> None:
        """Add bytes; waits while many are not hashed yet."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="md5", daemon=True)
            self._thread.start()
        self._pieces.put(piece)

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._found.update(piece)

    def close(self) -> None:
        """End the thread. Harmless if it has ended."""
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
            self._thread = None

    def hexdigest(self) -> str:
        """Of all bytes; nothing can be added after."""
        self.close()
        return self._found.hexdigest()
