"""One WebSocket to control, for the loop: whole messages in and out, never blocking after the handshake."""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from urllib.parse import urlsplit

from picloud.wire import frames, nearby
from picloud.wire.error import CloudException, NotAuthorized, Unavailable


class Line:
    """A connection. :meth:`dial` makes one."""

    def __init__(self, sock: socket.socket, early: bytes) -> None:
        self._socket, self._early = sock, early  # what came with the answer to the handshake
        self._inbox = frames.Inbox()
        self._out: deque[memoryview] = deque()
        self.heard = time.monotonic()

    @classmethod
    def dial(cls, url: str, authorization: str, timeout: float = 10.0) -> Line:
        """Connect and shake hands; blocks, so call it in a thread.

        Args:
            url: of control, http or https.
            authorization: the header's value.
            timeout: seconds for each step.

        Raises:
            NotAuthorized: control says that this worker is revoked.
            Unavailable: nobody answers, or not as control would.
        """
        parts = urlsplit(url)
        try:
            sock = nearby.connect(parts.hostname or "", parts.port or 80, timeout)
            try:
                if parts.scheme == "https":
                    sock = ssl.create_default_context().wrap_socket(sock, server_hostname=parts.hostname)
                early = frames.upgrade(sock, parts.netloc, "/v1/worker", f"Authorization: {authorization}\r\n")
            except BaseException:
                sock.close()
                raise
        except NotAuthorized as error:
            raise NotAuthorized("control does not know this worker any more") from error
        except (OSError, CloudException) as error:
            raise Unavailable(f"no connection to {url}: {error}") from error
        sock.setblocking(False)
        return cls(sock, early)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def receive(self) -> list[bytes]:
        """The messages that have come; never waits.

        Raises:
            Unavailable: the connection has ended.
        """
        early, self._early = self._early, b""
        try:
            messages = self._inbox.take(early) if early else []
            while True:
                data = self._socket.recv(frames.PIECE)
                if not data:
                    raise Unavailable("control closed the connection")
                self.heard = time.monotonic()
                messages += self._inbox.take(data)
                if len(data) < frames.PIECE and not isinstance(self._socket, ssl.SSLSocket):
                    break
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            raise Unavailable(f"connection lost: {error}") from error
        if self._inbox.replies:
            self._out.append(memoryview(self._inbox.replies))
            self._inbox.replies = b""
            self.flush()
        return messages

    def send(self, message: bytes) -> None:
        """Queue a message and send what the socket takes.

        Raises:
            Unavailable: the connection has ended.
        """
        self._out.append(memoryview(frames.framed(message)))
        self.flush()

    def flush(self) -> None:
        """Send what is queued, as far as the socket takes it."""
        try:
            while self._out:
                sent = self._socket.send(self._out[0])
                if sent < len(self._out[0]):
                    self._out[0] = self._out[0][sent:]
                else:
                    self._out.popleft()
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            raise Unavailable(f"connection lost: {error}") from error

    @property
    def clogged(self) -> bool:
        """Whether something waits for the socket to take it."""
        return bool(self._out)

    def close(self) -> None:
        """Drop the connection."""
        self._socket.close()
