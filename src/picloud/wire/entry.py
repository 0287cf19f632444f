"""Signed ways to a web page in a job: control grants them, the edge honours them without asking anyone.

An entry is good for one port of one job, under a host name that is made of both and that nobody can guess. The browser
brings it in the link; the edge gives it back as a cookie of that host name alone, and shows it to nobody else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from msgspec import Struct, field

from picloud.wire.error import Forbidden

PARAMETER = "picloud-entry"
"""In the link's query."""
COOKIE = "picloud-entry"


class Entry(Struct, frozen=True):
    """Who may enter where, and until when."""

    account: int
    jid: int
    port: int
    ends: int  # epoch s
    once: bool = False  # the link works once; the cookie it is exchanged for works until the browser closes
    mark: str = field(default_factory=lambda: secrets.token_hex(8))

    def name(self, secret: bytes) -> str:
        """The label under which the page is shown: the same for every entry to it."""
        return base64.b32encode(_mac(secret, "name", self.account, self.jid, self.port)[:15]).decode().lower()

    def signed(self, secret: bytes) -> str:
        """As text that proves itself."""
        parts = (self.account, self.jid, self.port, self.ends, int(self.once), self.mark)
        return ".".join([*map(str, parts), _mac(secret, "entry", *parts).hex()])


def check(secret: bytes, name: str, text: str, now: float) -> Entry:
    """The entry that a text proves, for the page of that name.

    Raises:
        Forbidden: it is for another page, was not signed by us, or has ended.
    """
    *parts, mac = text.split(".")
    if len(parts) != 6 or not all(part.isdecimal() and len(part) < 19 for part in parts[:5]):
        raise Forbidden("this link is not whole", hint="ask its owner for it again: picloud open JID PORT")
    if not hmac.compare_digest(mac, _mac(secret, "entry", *parts).hex()):
        raise Forbidden("this link is not one of ours", hint="ask its owner for it again: picloud open JID PORT")
    account, jid, port, ends, once = map(int, parts[:5])
    found = Entry(account, jid, port, ends, bool(once), parts[5])
    if not hmac.compare_digest(found.name(secret), name):
        raise Forbidden("this link is for another page")
    if ends < now:
        raise Forbidden("this link has ended", hint="make another one: picloud open JID PORT")
    return found


def _mac(secret: bytes, *parts: object) -> bytes:
    return hmac.new(secret, "\n".join(("proxy", *map(str, parts))).encode(), hashlib.sha256).digest()
