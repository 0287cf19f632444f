"""Signed links to one object, for who has no key at hand: a browser that saves a file or shows it.

A link is a capability as a blob's ticket is: whoever holds it may use it until it ends, so it is short-lived.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from urllib.parse import quote

import msgspec

from picloud.wire.error import Forbidden

PREFIX = "/file/"


class Link(msgspec.Struct, array_like=True, frozen=True):
    """Which object may be got, how, and until when."""

    account: int
    volume: str  # "" = the bucket
    key: str
    ends: int  # epoch s
    inline: bool  # to be shown, where that is safe; else to be saved
    page: str  # the origins whose pages may show it in a frame

    def path(self, secret: bytes) -> str:
        """The path on the edge; its last part is the object's name."""
        told = base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).rstrip(b"=").decode()
        return f"{PREFIX}{told}.{_sign(secret, told)}/{quote(self.key.rpartition('/')[2], safe='')}"


def check(secret: bytes, path: str, now: float) -> Link:
    """The link that a path proves.

    Raises:
        Forbidden: it was not signed by us, or has ended.
    """
    told, _, mac = path.removeprefix(PREFIX).partition("/")[0].partition(".")
    if not hmac.compare_digest(mac.encode(), _sign(secret, told).encode()):
        raise Forbidden("this link is not one of ours", hint="ask for another one")
    try:
        found = msgspec.msgpack.decode(base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)), type=Link)
    except (msgspec.MsgspecError, binascii.Error) as error:
        raise Forbidden("this link is not one of ours", hint="ask for another one") from error
    if found.ends < now:
        raise Forbidden("this link has ended", hint="ask for another one")
    return found


def _sign(secret: bytes, told: str) -> str:
    return hmac.new(secret, f"file\n{told}".encode(), hashlib.sha256).hexdigest()
