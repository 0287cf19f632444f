"""Signed tickets for bytes: control grants them, the edge honours them without asking anyone.

A ticket names one blob, one verb (``get`` or ``put``), an exact size for puts, and when it ends. It is a capability:
whoever holds the URL may use it, so it is short-lived and never shown.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qs, urlencode

from picloud.wire.error import Forbidden

LIFETIME = 3600
"""Seconds that a ticket is good for."""


def _sign(secret: bytes, *parts: object) -> str:
    return hmac.new(secret, "\n".join(map(str, parts)).encode(), hashlib.sha256).hexdigest()


def url(edge: str, secret: bytes, verb: str, blob: str, size: int, now: float) -> str:
    """The URL by which ``blob`` may be put (exactly ``size`` bytes) or got (size ignored) until LIFETIME from ``now`` (s)."""
    ends = int(now) + LIFETIME
    query = urlencode({"verb": verb, "size": size, "ends": ends, "mac": _sign(secret, verb, blob, size, ends)})
    return f"{edge}/blob/{blob}?{query}"


def check(secret: bytes, verb: str, blob: str, query: str, now: float) -> int:
    """The size that a ticket allows.

    Raises:
        Forbidden: another verb, a wrong signature, or too late.
    """
    given = {name: values[0] for name, values in parse_qs(query).items()}
    size, ends, mac = given.get("size", ""), given.get("ends", ""), given.get("mac", "")
    if not (size.isdecimal() and ends.isdecimal() and given.get("verb") == verb):
        raise Forbidden("this is no ticket for that", hint="ask the API for a new one", blob=blob)
    if not hmac.compare_digest(mac, _sign(secret, verb, blob, int(size), int(ends))):
        raise Forbidden("the ticket's signature is wrong", hint="ask the API for a new one", blob=blob)
    if int(ends) < now:
        raise Forbidden("the ticket has ended", hint="ask the API for a new one", blob=blob)
    return int(size)
