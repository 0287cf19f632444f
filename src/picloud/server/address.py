"""Where a server listens: the sockets, and who is in the way when one cannot be had."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import random
import socket
from pathlib import Path

from picloud.wire import nearby
from picloud.wire.error import SetupError

BACKLOG = 2048
QUIET = range(10_000, 20_000)
"""Ports of servers that may have any: below those of jobs (setting ``port_first``) and of outgoing connections."""


class _InUse(SetupError):
    """Somebody else listens there."""


def listen(host: str, port: int, prefer: int | None = None) -> socket.socket:
    """A listening TCP socket.

    Args:
        host: a name or an address of this machine.
        port: 0 = any free one.
        prefer: with port 0, the one to try first (an earlier server's, which workers and clients still know).

    Raises:
        SetupError: the port is in use (the text names by whom), reserved, or the address is not this machine's.
    """
    if port == 0 and prefer:
        try:
            return _listen(host, prefer)
        except SetupError:
            pass  # taken in the meantime: any other will do
    return _listen_anywhere(host) if port == 0 else _listen(host, port)


def listen_nearby(port: int) -> list[socket.socket]:
    """The unix socket beside a TCP port of loopback, see :mod:`picloud.wire.nearby`; none where somebody has that name."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(nearby.name(port))
        made.listen(BACKLOG)
    except OSError:
        made.close()
        return []
    return [made]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``; the empty host is the default one."""
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url(host: str, port: int, *, tls: bool) -> str:
    """The URL of an address."""
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def reachable(host: str) -> str:
    """The name other machines use for ``host``: itself, or for "every address" the one that leads outward."""
    if host not in ("0.0.0.0", "::"):
        return host
    family, probe = (socket.AF_INET, "192.0.2.1") if host == "0.0.0.0" else (socket.AF_INET6, "2001:db8::1")
    with socket.socket(family, socket.SOCK_DGRAM) as out:
        try:
            out.connect((probe, 9))  # only chooses a route: nothing is sent
            return str(out.getsockname()[0])
        except OSError:
            return socket.gethostname()


def in_use(port: int) -> bool:
    """Whether a program listens on a TCP port of this machine."""
    return bool(_listening(port))


def port_holder(port: int) -> str:
    """Who listens on a TCP port of this machine: ``pid 17 (python3 -m http.server)``, or "" if that cannot be seen."""
    sockets = _listening(port)
    for entry in os.listdir("/proc"):
        if entry.isdigit() and sockets & _sockets(entry):
            words = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
            return f"pid {entry} ({' '.join(words)[:80]})"
    return ""


def _listen_anywhere(host: str) -> socket.socket:
    """On a free port, if possible one that no outgoing connection is ever given: it shall be free when a server begins again."""
    for port in random.sample(QUIET, 20) if _first_given() >= QUIET.stop else ():
        with contextlib.suppress(_InUse):
            return _listen(host, port)
    return _listen(host, 0)


def _first_given() -> int:
    """The first port that the system gives to outgoing connections; 0 = not known."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise SetupError(f"there is no address {host!r}", hint="give --host a name or an address of this machine") from error
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise _refused(host, port, error) from error
    return made


def _refused(host: str, port: int, error: OSError) -> SetupError:
    if error.errno == errno.EADDRINUSE:
        by = port_holder(port)
        return _InUse(
            f"port {port} of {host} is in use{f' by {by}' if by else ''}",
            hint="stop that program, or let picloud take a free port: picloud up --port 0",
            port=port,
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return SetupError(f"{host} is not an address of this machine", hint="ip address lists those that are")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SetupError(f"port {port} may not be used by this user", hint="choose one above 1023")
    return SetupError(f"cannot listen on {host} port {port}: {error.strerror}")


def _listening(port: int) -> set[str]:
    """Inodes of the sockets that listen on a port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def _sockets(pid: str) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):  # it has gone, or is another user's
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found
