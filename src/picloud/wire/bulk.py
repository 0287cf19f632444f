"""Bytes of a blob as they come, taken up again where a connection broke."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

from picloud.wire.link import RAW, TROUBLE, Link, Patience, Request
from picloud.wire.origin import Connection, Response

PIECE = 1 << 20
"""Bytes of a piece."""


def download(link: Link, url: str, start: int, stop: int) -> Iterator[bytes]:
    """The bytes of a blob from ``start`` up to ``stop`` (exclusive), in pieces.

    A connection that breaks is opened again for what is missing. Closing the iterator early closes it.

    Raises:
        Forbidden: the ticket has ended; the pieces so far are good.
        Unavailable: nothing came within the link's patience.
    """
    origin, path = link.elsewhere(url)
    patience: Patience | None = None
    while start < stop:
        request = Request("GET", path, [], RAW, f"Range: bytes={start}-{stop - 1}\r\n")
        connection, response = link.begin(origin, request, None, None)
        try:
            for piece in _pieces(response, stop - start):
                start, patience = start + len(piece), None
                yield piece
            response.read()  # lets the response see its end, so that the connection can serve again
        except TROUBLE as error:
            connection.sock.close()
            patience = patience or Patience(link, None)
            patience.wait(origin, error)
        except BaseException:
            _leave(connection, response)
            raise
        else:
            origin.give(connection, response)


def _pieces(response: Response, left: int) -> Iterator[bytes]:
    if response.length != left:
        raise http.client.HTTPException(f"{response.length} bytes came, {left} were asked for")
    while left:
        piece = response.read(min(PIECE, left))
        if not piece:
            raise http.client.IncompleteRead(b"", left)
        left -= len(piece)
        yield piece


def _leave(connection: Connection, response: Response) -> None:
    """The reader has had enough."""
    response.close()
    connection.sock.close()
