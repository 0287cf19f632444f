"""Routes and addresses of a network namespace, over raw netlink: no ``ip`` program, under a millisecond.

:func:`up` and :func:`blackhole` run in the sandbox's namespace, as its root (the holder calls them before the job starts);
:func:`addresses` runs in the host's. Standard library only, quick to import.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

LINK_LOCAL = ["169.254.0.0/16", "fe80::/10"]
"""Neighbours on the wire, among them the metadata service of clouds, which hands out the machine's own credentials."""

PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
"""Addresses of the local network."""

_NEWLINK, _NEWADDR, _GETADDR, _NEWROUTE = 16, 20, 22, 24
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _REPLACE, _CREATE, _DUMP = 0x1, 0x4, 0x100, 0x400, 0x300
_IFF_UP = 1
_TABLE_MAIN, _PROTO_STATIC, _SCOPE_HOST = 254, 4, 254
_PROHIBIT = 8
_DST, _PRIORITY = 1, 6  # attributes of a route
_ADDRESS, _LOCAL = 1, 2  # attributes of an address
_BATCH = 64  # requests whose answers fit in the socket's buffer together
_NO_FAMILY = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT)


def up(name: str) -> None:
    """Bring a link up.

    Raises:
        OSError: there is no such link, or this process may not.
    """
    index = socket.if_nametoindex(name)
    _ask([(_NEWLINK, 0, struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, _IFF_UP, _IFF_UP))], [name])


def blackhole(networks: list[str]) -> None:
    """Let nobody in this namespace reach some networks: connecting there fails at once with EACCES, "Permission denied".

    That error tells a rule from a fault of the network, which "No route to host" would not. A longer prefix still wins: the
    sandbox's own small network may lie within a prohibited one. On a machine without IPv6 its networks are passed over.

    Args:
        networks: addresses or networks, ``10.0.0.0/8``, ``192.0.2.7``, ``fe80::/10``.

    Raises:
        OSError: this process may not.
        ValueError: not a network.
    """
    for start in range(0, len(networks), _BATCH):
        some = networks[start : start + _BATCH]
        _ask([(_NEWROUTE, _CREATE | _REPLACE, _route(network)) for network in some], some)


def addresses() -> list[str]:
    """The addresses of this namespace's links but for the loopback's, sorted.

    Raises:
        OSError: netlink is not there.
    """
    found: set[str] = set()
    with _socket() as link:
        link.sendto(_message(_GETADDR, _REQUEST | _DUMP, struct.pack("=B", socket.AF_UNSPEC)), (0, 0))
        while True:
            for kind, body in _messages(link.recv(1 << 16)):
                if kind == _DONE:
                    return sorted(found)
                if kind == _ERROR:
                    raise _failed(body, "addresses")
                if kind == _NEWADDR:
                    found |= _address(body)


def _route(network: str) -> bytes:
    """Body of the request for a route that prohibits."""
    text, _, length = network.partition("/")
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        packed = socket.inet_pton(family, text)
        bits = int(length) if length else len(packed) * 8
    except (OSError, ValueError):
        raise ValueError(f"not a network: {network!r}") from None
    if not 0 <= bits <= len(packed) * 8:
        raise ValueError(f"not a network: {network!r}")
    head = struct.pack("=BBBBBBBBI", family, bits, 0, 0, _TABLE_MAIN, _PROTO_STATIC, 0, _PROHIBIT, 0)
    # The first priority, so that it wins over what the kernel itself adds for a link (fe80::/64 has 256).
    return head + _attribute(_DST, packed) + _attribute(_PRIORITY, struct.pack("=I", 1))


def _address(body: bytes) -> set[str]:
    """The address in an answer to GETADDR; empty for one of the loopback."""
    family, _, _, scope = struct.unpack_from("=BBBB", body)
    if family not in (socket.AF_INET, socket.AF_INET6) or scope == _SCOPE_HOST:
        return set()
    values = dict(_attributes(body[8:]))
    packed = values.get(_LOCAL) or values.get(_ADDRESS)  # on a point-to-point link the second is the other end
    text = socket.inet_ntop(family, packed) if packed else ""
    return {text} if text and not text.startswith("127.") else set()


def _ask(requests: list[tuple[int, int, bytes]], about: list[str]) -> None:
    """Send requests at once and read their answers; the first failure is raised when all have come."""
    failed: OSError | None = None
    with _socket() as link:
        parts = [_message(kind, flags | _REQUEST | _ACK, body, at) for at, (kind, flags, body) in enumerate(requests)]
        link.sendto(b"".join(parts), (0, 0))
        left = len(requests)
        while left:
            for kind, body in _messages(link.recv(1 << 16)):
                if kind != _ERROR:
                    continue
                left -= 1
                at = struct.unpack_from("=I", body, 12)[0]  # sequence number of the request, whose head it repeats
                what = about[at] if at < len(about) else ""
                wrong = _failed(body, what)
                if wrong.errno and not (":" in what and wrong.errno in _NO_FAMILY):
                    failed = failed or wrong
    if failed:
        raise failed


def _failed(body: bytes, about: str) -> OSError:
    """What an answer of type error says; errno 0 is an acknowledgement."""
    number = -struct.unpack_from("=i", body)[0]
    return OSError(number, os.strerror(number), about)


def _socket() -> socket.socket:
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    link.bind((0, 0))
    link.settimeout(10)  # the kernel answers before send returns; a silent one shall not hang a sandbox
    return link


def _message(kind: int, flags: int, body: bytes, sequence: int = 0) -> bytes:
    whole = struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body
    return whole + bytes(-len(whole) % 4)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _messages(data: bytes) -> list[tuple[int, bytes]]:
    """Type and body of each message in what was read."""
    found, at = [], 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        found.append((kind, data[at + 16 : at + length]))
        at += max(16, length + 3 & ~3)
    return found


def _attributes(data: bytes) -> list[tuple[int, bytes]]:
    """Type and value of each attribute."""
    found, at = [], 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found.append((kind, data[at + 4 : at + length]))
        at += max(4, length + 3 & ~3)
    return found
