"""A far end of HTTP: sockets to it, plain, by TLS or through a unix socket, kept alive between requests."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from picloud.wire import nearby
from picloud.wire.error import SetupError

CONNECT, READ = 10.0, 60.0
"""Seconds for opening a connection, and for an answer to begin."""

Buffer = bytes | bytearray | memoryview
_LINE = 65_537


class Response(http.client.HTTPResponse):
    """http.client's, with its bodies and chunks, but for the head: email's parser takes five times as long [measured]."""

    headers: dict[str, str]  # type: ignore[assignment]  # by lower-case name

    def begin(self) -> None:
        """Read the status line and the headers."""
        line = self.fp.readline(_LINE)
        while line[9:10] == b"1":  # 100 Continue and its kin: the answer follows
            self._read_headers()
            line = self.fp.readline(_LINE)
        if not line:
            raise http.client.RemoteDisconnected("the far end closed the connection without an answer")
        if not line.startswith(b"HTTP/1.") or not line[9:12].isdigit():
            raise http.client.BadStatusLine(repr(line[:80]))
        self.version, self.reason = 10 + int(line[7:8]), line[13:].strip().decode("latin-1")
        self.code = self.status = int(line[9:12])
        self.headers = self.msg = self._read_headers()  # type: ignore[assignment]
        self._frame()

    def _read_headers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for _ in range(100):
            line = self.fp.readline(_LINE)
            if line in (b"\r\n", b"\n"):
                return found
            name, colon, value = line.partition(b":")
            if not colon:
                break
            found[name.lower().decode("latin-1")] = value.strip().decode("latin-1")
        raise http.client.HTTPException("the head of the answer is broken off or too long")

    def _frame(self) -> None:
        """How the end of the body is known."""
        connection = self.headers.get("connection", "").lower()
        self.chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        size = self.headers.get("content-length", "")
        self.length = 0 if self.status in (204, 304) else int(size) if size.isdigit() and not self.chunked else None
        self.will_close = connection == "close" or (self.version < 11 and connection != "keep-alive")
        self.will_close = self.will_close or (self.length is None and not self.chunked)


class Connection:
    """One open socket. ``used``: it has answered before, so that it may have gone stale since."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.used = False

    def send(self, head: bytes, parts: Iterable[Buffer], size: int) -> None:
        """Send a head and a body of ``size`` bytes."""
        if size < 65536:
            self.sock.sendall(b"".join((head, *parts)))  # one packet, one wake-up of the server
            return
        self.sock.sendall(head)
        for part in parts:
            self.sock.sendall(part)

    def receive(self, method: str) -> Response:
        response = Response(self.sock, method=method)
        response.begin()
        return response


class Origin:
    """A far end: how to reach it, and the idle connections to it."""

    def __init__(self, url: str, fingerprint: str = "", door: str = "") -> None:
        parsed = urlsplit(url)
        self.url, self.door, self.fingerprint = url, door, _bare(fingerprint)
        self.tls = parsed.scheme == "https"
        self.host = parsed.hostname or "localhost"
        self.port = parsed.port or (443 if self.tls else 80)
        self.name = parsed.netloc or "localhost"
        self.idle: list[Connection] = []
        self.pid = os.getpid()

    def take(self) -> Connection:
        """An idle connection, or a new one."""
        if self.pid != os.getpid():  # a forked child: the sockets belong to its parent
            self.idle, self.pid = [], os.getpid()
        try:
            return self.idle.pop()
        except IndexError:
            return self.open()

    def give(self, connection: Connection, response: Response) -> None:
        """Keep a connection whose answer was read to its end."""
        if response.will_close:
            connection.sock.close()
        else:
            connection.used = True
            self.idle.append(connection)

    def open(self) -> Connection:
        """A new connection; SetupError where the far end is not who it should be."""
        if self.door:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(CONNECT)
            try:
                sock.connect(self.door)
            except OSError:
                sock.close()
                raise
        else:
            sock = nearby.connect(self.host, self.port, CONNECT)
            sock = self._secured(sock) if self.tls else sock
        sock.settimeout(READ)
        return Connection(sock)

    def _secured(self, sock: socket.socket) -> socket.socket:
        import ssl

        context = ssl.create_default_context()
        if self.fingerprint:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            secured = context.wrap_socket(sock, server_hostname=self.host)
        except ssl.SSLEOFError:
            raise
        except ssl.SSLError as error:
            hint = "give its fingerprint: picloud setup URL --fingerprint .., as `picloud up --host` printed it"
            raise SetupError(f"no trusted TLS connection to {self.url}: {error}", hint=hint) from error
        found = hashlib.sha256(secured.getpeercert(True) or b"").hexdigest()
        if self.fingerprint and found != self.fingerprint:
            secured.close()
            hint = "if the server was set up anew, run the line that it printed again; if not, someone is in between"
            raise SetupError(f"{self.url} shows another certificate: {found}, not {self.fingerprint}", hint=hint)
        return secured

    def close(self) -> None:
        """Close the idle connections."""
        while self.idle:
            self.idle.pop().sock.close()


def _bare(fingerprint: str) -> str:
    return fingerprint.lower().removeprefix("sha256:").replace(":", "").strip()
