"""Where control and edge listen: loopback always, one further address where asked for, with TLS unless it is refused."""

from __future__ import annotations

import socket
from pathlib import Path

from msgspec import Struct

from picloud.server import address
from picloud.server.certificate import certificate
from picloud.serving import Certificate
from picloud.settings import Settings
from picloud.wire.error import SetupError


class Doors(Struct):
    """The bound sockets of one program: plain ones, and those for TLS."""

    plain: list[socket.socket]
    tls: list[socket.socket]

    def close(self) -> None:
        for bound in [*self.plain, *self.tls]:
            bound.close()

    @staticmethod
    def port(sockets: list[socket.socket]) -> int:
        return int(sockets[0].getsockname()[1]) if sockets else 0


class Listening(Struct):
    """Everything bound, and how the outside calls it."""

    control: Doors
    edge: Doors
    ssh: list[socket.socket]
    loopback: str  # URL for this machine
    remote: str | None  # URL for others
    tls: Certificate | None
    fingerprint: str | None

    def close(self) -> None:
        self.control.close()
        self.edge.close()
        for bound in self.ssh:
            bound.close()


def bind(settings: Settings, prefer: int | None, loopback: int | None = None) -> Listening:
    """Bind the sockets of control and edge.

    Args:
        prefer: the port of the server before us, which clients know.
        loopback: its port on loopback, which workers know.

    Raises:
        SetupError: a port in use, an address that is not ours, plain HTTP off loopback without ``insecure``.
    """
    further = "" if settings.host in ("127.0.0.1", "localhost") else settings.host
    private = address.is_loopback(further)  # only this machine reaches it, and nobody reads along
    plain_host, tls_host = (further, "") if settings.insecure or private else ("", further)
    control = _doors(plain_host, tls_host, settings.port, prefer, loopback)
    inner, outer = Doors.port(control.plain), Doors.port(control.tls or control.plain)
    control.plain += address.listen_nearby(inner)
    # Beside control's, so that it is the same again after a restart: bytes on their way go on under the same ticket.
    edge = _doors(plain_host, tls_host, 0, _beside(outer), _beside(inner))
    edge.plain += address.listen_nearby(Doors.port(edge.plain))
    ssh = _ssh(further, settings.ssh_port, _beside(_beside(outer) or 0))
    local = address.url("127.0.0.1", inner, tls=False)
    if private:
        return Listening(control, edge, ssh, local, None, None, None)
    remote = address.url(address.reachable(settings.host), outer, tls=bool(tls_host))
    if plain_host:
        return Listening(control, edge, ssh, local, remote, None, None)
    cert, key, fingerprint = certificate(Path(settings.home), settings.host)
    return Listening(control, edge, ssh, local, remote, (str(cert), str(key)), fingerprint)


def _ssh(further: str, port: int, prefer: int | None) -> list[socket.socket]:
    """The gateway's sockets: its protocol is private by itself, so it needs no certificate elsewhere."""
    if further in ("0.0.0.0", "::"):
        return [address.listen(further, port, prefer)]
    near = address.listen("127.0.0.1", port, prefer)
    bound = int(near.getsockname()[1])
    try:
        return [near, address.listen(further, bound)] if further and further != "127.0.0.1" else [near]
    except SetupError:
        near.close()
        raise


def _beside(port: int) -> int | None:
    return port + 1 if port < 65_535 else None


def _doors(plain_host: str, tls_host: str, port: int, prefer: int | None, loopback: int | None) -> Doors:
    wild = {"0.0.0.0", "::"}
    if plain_host in wild:
        return Doors([address.listen(plain_host, port, prefer)], [])
    if tls_host in wild:
        return Doors([address.listen("127.0.0.1", 0, loopback)], [address.listen(tls_host, port, prefer)])
    plain = address.listen("127.0.0.1", port, prefer)
    bound = int(plain.getsockname()[1])
    try:
        if plain_host:
            return Doors([plain, address.listen(plain_host, bound)], [])
        return Doors([plain], [address.listen(tls_host, bound)] if tls_host else [])
    except SetupError:
        plain.close()
        raise
