"""Webhooks: what their addresses may be, and how a message is signed (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from picloud.wire.error import BadRequest

LONGEST = 2000
"""Characters of a URL."""
PREFIX = "whsec_"
SECRET = 32
"""Bytes of a signing secret."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def check_url(url: Any) -> str:
    """The URL, if messages can go there.

    Raises:
        TypeError: it is no text.
        BadRequest: no http(s) URL, or one with a name and password in it.
    """
    if not isinstance(url, str):
        raise TypeError(f"a webhook is a URL, not {url!r:.80} ({type(url).__name__})")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        raise BadRequest(
            f"{url[:80]!r} is no URL for a webhook", hint=f"like https://example.org/done, at most {LONGEST} characters"
        )
    if "@" in parts.netloc:
        raise BadRequest("a webhook's URL holds no name and password", hint="messages are signed: check the signature instead")
    return url


def check_target(url: str, networks: Iterable[Network]) -> str:
    """The URL, if messages can go there and it names no address where they may not. A name is looked at when one is sent.

    Raises:
        BadRequest: see :func:`check_url`, or the address is not public.
    """
    try:
        address = ipaddress.ip_address(urlsplit(check_url(url)).hostname or "")
    except ValueError:
        return url  # a name
    if not is_allowed(address, networks):
        raise BadRequest(f"{address} is not public", hint="an operator can list it in the setting webhook_networks")
    return url


def is_allowed(address: Address, networks: Iterable[Network]) -> bool:
    """Whether messages may go to this address: a public one, or one of the networks that the operator has listed."""
    if any(address in network for network in networks):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_allowed(inner, networks)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


def sign(secret: str, message: str, timestamp: int, body: bytes) -> str:
    """The signature of a message: ``v1,`` and base64 of an HMAC-SHA256.

    Args:
        secret: ``whsec_`` and base64 of its bytes.
        message: its id.
        timestamp: seconds of the epoch.

    Raises:
        ValueError: that is no secret.
    """
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    made = hmac.new(key, b"%s.%d.%s" % (message.encode(), timestamp, body), hashlib.sha256)
    return "v1," + base64.b64encode(made.digest()).decode()
