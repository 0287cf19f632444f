"""Jids as (first, count) pairs."""

from __future__ import annotations

from collections.abc import Iterator

from picloud.wire.message import Ranges


def pieces(ranges: Ranges, most: int) -> Iterator[Ranges]:
    """The ranges in lists of at most ``most`` jids each."""
    piece: Ranges = []
    room = most
    for first, count in ranges:
        while count:
            size = min(count, room)
            piece.append((first, size))
            first, count, room = first + size, count - size, room - size
            if not room:
                yield piece
                piece, room = [], most
    if piece:
        yield piece
