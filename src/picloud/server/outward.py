"""One POST to an address that a user has named: to the public internet, or to networks that the operator has listed.

The name is resolved once, every address that it has must be allowed, and the connection goes to one of these, so that a name
cannot mean something else a moment later. Nothing leads elsewhere: no redirect, no proxy.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import h11

from picloud.wire.webhook import Address, Network, is_allowed

SECONDS = 10.0
"""For all of it, from the name to the last byte."""
LARGEST = 65_536
"""Bytes of an answer that are read."""
PIECE = 16_384
AGENT = "PiCloud"


class Answer(NamedTuple):
    """What came of a request."""

    status: int  # of HTTP; 0 = there was none
    trouble: str = ""  # why it does not count as delivered


class Refused(Exception):
    """The request may not go there, or nobody answers; the text says why."""


async def post(url: str, headers: dict[str, str], body: bytes, networks: Sequence[Network], seconds: float = SECONDS) -> Answer:
    """Send ``body``; whatever goes wrong is in the answer.

    Args:
        url: http or https, checked (``wire.webhook.check_url``).
        networks: besides the public addresses.
        seconds: for all of it.
    """
    try:
        async with asyncio.timeout(seconds):
            status = await _exchange(url, headers, body, networks)
    except TimeoutError:
        return Answer(0, f"no answer within {seconds:g} s")
    except Refused as refused:
        return Answer(0, str(refused))
    except ssl.SSLError as error:
        return Answer(0, f"TLS: {getattr(error, 'verify_message', '') or error.reason or error}")
    except h11.RemoteProtocolError as error:
        return Answer(0, f"no proper answer: {error}")
    except OSError as error:
        return Answer(0, f"the connection broke: {error.strerror or error}")
    if 200 <= status < 300:
        return Answer(status)
    return Answer(status, f"answered {status}" + (": redirects are not followed" if 300 <= status < 400 else ""))


async def _exchange(url: str, headers: dict[str, str], body: bytes, networks: Sequence[Network]) -> int:
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    reader, writer = await _connected(await _addresses(host, port, networks), host, port, secure)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = {"Host": parts.netloc, "User-Agent": AGENT, "Content-Length": str(len(body)), "Connection": "close", **headers}
        line = h11.Connection(h11.CLIENT)
        request = h11.Request(method="POST", target=target, headers=list(lines.items()))
        parts_of_it = (line.send(request), line.send(h11.Data(body)), line.send(h11.EndOfMessage()))
        writer.write(b"".join(part or b"" for part in parts_of_it))
        await writer.drain()
        return await _status(line, reader)
    finally:
        writer.transport.abort()  # an orderly end of TLS would wait for the other side


async def _addresses(host: str, port: int, networks: Sequence[Network]) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Refused(f"{host} is not known: {getattr(error, 'strerror', None) or error}") from error
    addresses = [ipaddress.ip_address(str(place[4][0]).partition("%")[0]) for place in found]
    for address in addresses:
        if not is_allowed(address, networks):
            raise Refused(f"{host} is at {address}, which is not public; an operator can list it in webhook_networks")
    return addresses


async def _connected(addresses: list[Address], host: str, port: int, secure: bool
                     ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:  # fmt: skip
    """A connection to the first of the addresses that takes one."""
    context = ssl.create_default_context() if secure else None
    trouble = f"{host} has no address"
    for address in addresses:
        try:
            return await asyncio.open_connection(str(address), port, ssl=context, server_hostname=host if secure else None)
        except ssl.SSLError:
            raise
        except OSError as error:
            trouble = f"{address} takes no connection at port {port}: {error.strerror or error}"
    raise Refused(trouble)


async def _status(line: h11.Connection, reader: asyncio.StreamReader) -> int:
    """Read an answer to its end, or as much as is read of any; its status."""
    status = size = 0
    while size <= LARGEST:
        event = line.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(PIECE)
            if not data and not status:
                raise Refused("the connection was closed without an answer")
            size += len(data)
            line.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or event is h11.PAUSED:
            break
    return status
