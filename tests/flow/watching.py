"""Open pages for tests: what they watch, as a browser would read it."""

from __future__ import annotations

import http.client
import json
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
        self._answer = answer
        self.marks: dict[str, str] = {}

    def line(self) -> Line | None:
        """The next line, be it a sign of life; None where the stream has ended in good order.

        Raises:
            OSError, HTTPException: it broke off.
        """
        text = self._answer.readline()
        if not text:
            return None
        found: Line = json.loads(text)
        if found:
            self.marks[found["path"]] = found["mark"]
        return found

    def until(self, fits: Callable[[Line], Any]) -> Line:
        """The next line that fits."""
        while (line := self.line()) is not None:
            if line and fits(line):
                return line
        raise AssertionError("the stream has ended")

    def first(self, path: str) -> Line:
        """The next line of a path."""
        return self.until(lambda line: line["path"] == path)

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
