"""One WebSocket to control, for the loop: whole messages in and out, never blocking after the handshake.

The protocol is websockets' own, without its threads: a message goes from the socket to the pool in one step, which is what
the time of a single warm call is made of.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from picloud.wire import nearby
from picloud.wire.error import NotAuthorized, Unavailable

PIECE = 1 << 18  # bytes read at once


class Line:
    """A connection. :meth:`dial` makes one."""

    def __init__(self, sock: socket.socket, protocol: ClientProtocol) -> None:
        self._socket, self._protocol = sock, protocol
        self._out: deque[memoryview] = deque()
        self._message: list[bytes] = []
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
            if parts.scheme == "https":
                sock = ssl.create_default_context().wrap_socket(sock, server_hostname=parts.hostname)
            address = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/v1/worker"
            line = cls(sock, ClientProtocol(parse_uri(address), max_size=None))
            line._shake(authorization)
        except (OSError, WebSocketException) as error:
            raise Unavailable(f"no connection to {url}: {error}") from error
        sock.setblocking(False)
        return line

    def _shake(self, authorization: str) -> None:
        request = self._protocol.connect()
        request.headers["Authorization"] = authorization
        self._protocol.send_request(request)
        for data in self._protocol.data_to_send():
            self._socket.sendall(data)
        while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
            data = self._socket.recv(PIECE)
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
        refused = self._protocol.handshake_exc
        if isinstance(refused, InvalidStatus) and refused.response.status_code in (401, 403):
            raise NotAuthorized("control does not know this worker any more")
        if refused is not None:
            raise refused
        # the answer to the handshake is an event, too; what came with it is left for receive()
        self._early = [event for event in self._protocol.events_received() if isinstance(event, Frame)]

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def receive(self) -> list[bytes]:
        """The messages that have come; never waits.

        Raises:
            Unavailable: the connection has ended.
        """
        messages = self._messages(self._early)
        self._early = []
        try:
            while True:
                data = self._socket.recv(PIECE)
                if not data:
                    raise Unavailable("control closed the connection")
                self.heard = time.monotonic()
                self._protocol.receive_data(data)
                messages += self._messages(self._protocol.events_received())
                if len(data) < PIECE and not isinstance(self._socket, ssl.SSLSocket):
                    break
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            raise Unavailable(f"connection lost: {error}") from error
        self._push()  # pongs
        if self._protocol.state is not State.OPEN:
            raise Unavailable("control closed the connection")
        return messages

    def _messages(self, events: Iterable[object]) -> list[bytes]:
        messages: list[bytes] = []
        for frame in events:
            if isinstance(frame, Frame) and frame.opcode in (Opcode.BINARY, Opcode.CONT, Opcode.TEXT):
                self._message.append(bytes(frame.data))
                if frame.fin:
                    messages.append(self._message[0] if len(self._message) == 1 else b"".join(self._message))
                    self._message.clear()
        return messages

    def send(self, message: bytes) -> None:
        """Queue a message and send what the socket takes.

        Raises:
            Unavailable: the connection has ended.
        """
        if self._protocol.state is not State.OPEN:
            raise Unavailable("the connection to control is closed")
        self._protocol.send_binary(message)
        self._push()

    def _push(self) -> None:
        self._out.extend(memoryview(data) for data in self._protocol.data_to_send() if data)
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
