"""The part of a whole that a request asks for: ``Range: bytes=..``, one of them."""

from __future__ import annotations

import re
from typing import NamedTuple

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Span(NamedTuple):
    """Bytes from ``start`` to ``end`` (exclusive); ``partial``: not simply all of them."""

    start: int
    end: int
    partial: bool


def span(header: str, size: int) -> Span | None:
    """What to send of ``size`` bytes; None = nothing can be (416). A header that is not understood asks for all."""
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return Span(0, size, False)
    if not found[1]:  # the last so many
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
    return Span(start, end, True) if start < end else None
