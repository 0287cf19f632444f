"""Which web pages may read what the edge answers: those of the server itself, and no others (CORS).

Every answer here is by ticket or public, so that a foreign page could do no harm with more. It gets no more all the same.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import msgspec

from picloud.edge.answer import Message, Send, header

METHODS, TAKEN = "GET, HEAD, PUT", "authorization, content-type, content-range, if-none-match, range"
SHOWN = "accept-ranges, content-length, content-range, content-disposition, etag"
LASTS = "7200"
"""Seconds that a browser need not ask again."""
_PORTS = {"http": 80, "https": 443}


class Origins(msgspec.Struct):
    """The origins of the server's own pages."""

    ports: dict[str, int] = {}  # scheme -> where control listens
    hosts: list[str] = []  # the names by which it may be called, besides addresses
    public: str = ""  # its URL where that is told

    def own(self, origin: str) -> bool:
        """Whether this is one of them."""
        if origin and origin.lower() == self.public.lower():
            return True
        try:
            at = urlsplit(origin)
            port = at.port or _PORTS.get(at.scheme, 0)
        except ValueError:
            return False
        host = at.hostname or ""
        known = bool(host) and (host in self.hosts or _is_address(host))
        return known and bool(port) and self.ports.get(at.scheme) == port and origin == f"{at.scheme}://{at.netloc}"


def allowed(origins: Origins, scope: Message, send: Send) -> Send:
    """The same way to answer, with the word that the page which asks may read it, where it may."""
    origin = header(scope, b"origin")
    if not origins.own(origin):
        return send
    told = [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", SHOWN.encode()),
        (b"vary", b"Origin"),
    ]

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *told]}
        await send(message)

    return telling


async def preflight(send: Send) -> None:
    """Answer the question of a browser what a page may ask; whose page, :func:`allowed` says."""
    told = [
        (b"access-control-allow-methods", METHODS.encode()),
        (b"access-control-allow-headers", TAKEN.encode()),
        (b"access-control-max-age", LASTS.encode()),
        (b"content-length", b"0"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": told})
    await send({"type": "http.response.body", "body": b""})


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
