"""Secrets masked in what a job says, wherever they stand in it: also where a value comes in two pieces.

A value is known as it is, line by line, and as Python, JSON and URLs write it. What somebody encodes otherwise, as base64 say,
passes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from picloud.wire.secret import MASKED

if TYPE_CHECKING:  # runners load this too, whatever their environment has
    from picloud.wire.job import Failure
    from picloud.wire.message import Outcome

HIDDEN = "***"


class Mask:
    """Hides the values of one job.

    Args:
        values: those shorter than ``MASKED`` characters are left out.
    """

    def __init__(self, values: Iterable[str]) -> None:
        texts = {text for value in values for text in _spellings(value)}
        self._values = sorted((text.encode() for text in texts), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._values)) or b"(?!)")

    def data(self, data: bytes) -> bytes:
        """Bytes without the values."""
        return self._pattern.sub(HIDDEN.encode(), data)

    def text(self, text: str) -> str:
        """A text without the values."""
        return self.data(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape") if text else text

    def pickled(self, data: bytes) -> bytes:
        """A pickle whose texts lack the values. Each keeps its length, for a pickle tells that before the text."""
        return self._pattern.sub(lambda found: b"*" * len(found[0]), data)

    def failure(self, failure: Failure) -> Failure:
        """A certificate without the values, in place."""
        for field in ("message", "advice", "traceback", "type", "stacks", "log_tail"):
            setattr(failure, field, self.text(getattr(failure, field)))
        failure.exception = self.pickled(failure.exception)
        failure.facts = {name: self.text(fact) if isinstance(fact, str) else fact for name, fact in failure.facts.items()}
        return failure

    def outcome(self, outcome: Outcome) -> None:
        """The end of an attempt without the values, in place; its result is the job's own affair."""
        outcome.preview = self.text(outcome.preview)
        if outcome.failure is not None:
            self.failure(outcome.failure)

    def open_end(self, data: bytes) -> int:
        """From where on ``data`` may be the beginning of a value, of which the rest is still to come."""
        cut = len(data)
        for value in self._values:
            at = data.find(value[:1], max(0, len(data) - len(value) + 1))
            while -1 < at < cut:
                if value.startswith(data[at:]):
                    cut = at
                    break
                at = data.find(value[:1], at + 1)
        return cut

    def flow(self) -> Flow:
        """For bytes that come in pieces."""
        return Flow(self, self._pattern)


class Flow:
    """One stream of bytes: what may be the beginning of a value waits for what comes behind it."""

    def __init__(self, mask: Mask, pattern: re.Pattern[bytes]) -> None:
        self._mask, self._pattern = mask, pattern
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be shown by now."""
        data = self._held + data
        cut, at = self._mask.open_end(data), 0
        made = []
        for found in self._pattern.finditer(data):
            if found.start() >= cut:
                break
            made += [data[at : found.start()], HIDDEN.encode()]
            at = found.end()
        cut = max(cut, at)
        self._held = data[cut:]
        return b"".join([*made, data[at:cut]])

    def end(self) -> bytes:
        """The rest: nothing more will come."""
        held, self._held = self._held, b""
        return self._mask.data(held)


here: Mask | None = None
"""Of the job that this process runs, if it has secrets."""


def _spellings(value: str) -> set[str]:
    found = set[str]()
    for text in {value, value.strip(), *value.splitlines(), *map(str.strip, value.splitlines())}:
        if len(text.strip()) >= MASKED:
            found |= {text, repr(text)[1:-1], ascii(text)[1:-1], json.dumps(text)[1:-1], quote(text, ""), quote_plus(text)}
    return found
