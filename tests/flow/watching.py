"""Open pages for tests: what they watch, as a browser would read it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

DEADLINE = 60.0
Line = dict[str, Any]


class Watching:
    """The stream of one page."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.headers = answer.status, answer.headers
        self._answer, self._read = answer, b""
        self.newest: dict[str, Line] = {}  # by path

    @property
    def marks(self) -> dict[str, str]:
        """What a page that comes back knows."""
        return {path: line["mark"] for path, line in self.newest.items()}

    def line(self) -> Line | None:
        """The next line, be it a sign of life; None where the stream has ended in good order.

        Raises:
            OSError, HTTPException: it broke off.
        """
        while b"\n" not in self._read:
            part = self._answer.read1(1 << 16)  # readline would not tell the one end from the other
            if not part:
                return None
            self._read += part
        text, _, self._read = self._read.partition(b"\n")
        found: Line = json.loads(text)
        if found:
            self.newest[found["path"]] = found
        return found

    def until(self, path: str, fits: Callable[[Line], Any] = bool) -> Line:
        """The newest line of a path, once it fits."""
        limit = time.monotonic() + DEADLINE
        while (found := self.newest.get(path)) is None or not fits(found):
            assert self.line() is not None, "the stream has ended"
            assert time.monotonic() < limit, found
        return found

    def of(self, *paths: str) -> dict[str, Line]:
        """The newest line of each of these, once there is one."""
        return {path: self.until(path) for path in paths}

    def to_the_end(self) -> str:
        """How it ends: "well", or "broken"."""
        try:
            while self.line() is not None:
                continue
        except (ConnectionError, http.client.HTTPException):
            return "broken"
        return "well"


@contextmanager
def watching(url: str, auth: str, *paths: str, marks: dict[str, str] | None = None) -> Iterator[Watching]:
    """Open a page."""
    at = urlsplit(url)
    link = http.client.HTTPConnection(at.hostname or "", at.port or 80, timeout=DEADLINE)
    try:
        body = {"watch": [{"path": path, "mark": (marks or {}).get(path, "")} for path in paths]}
        link.request("POST", "/v1/view", json.dumps(body), {"Authorization": auth, "Content-Type": "application/json"})
        yield Watching(link.getresponse())
    finally:
        link.close()
