"""The near end of a WebSocket: a message that comes is a call, a message that goes is a write, nothing in between.

The WebSocket itself is that of the library ``websockets``, without its loops: workers and programs that call and wait talk
over such lines, and each task or queue on their way costs a single call as much as all the rest.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Protocol, cast

import msgspec
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from picloud.server import eager
from picloud.serving import Direct
from picloud.settings import MIB
from picloud.wire.error import CloudException, NotAuthorized

log = logging.getLogger("picloud.line")

LARGEST = 256 * MIB
PING, SILENCE = 15.0, 45.0
"""Seconds between two pings, and without any sign of life before the connection counts as lost."""
_MESSAGE = (Opcode.BINARY, Opcode.CONT)


class End(Protocol):
    """What acts on the messages of one line."""

    def hear(self, message: bytes) -> Coroutine[Any, Any, object] | None:
        """Act on a message; what may have to wait is returned, and later messages come after it.

        Raises:
            CloudException, msgspec.MsgspecError: it cannot be acted on; the line is closed.
        """

    def gone(self) -> None:
        """The connection has ended."""


Open = Callable[["Line", dict[bytes, bytes]], End]
"""Makes the end of a new line, by the headers of its request; NotAuthorized where it may not be opened."""


class Line(asyncio.Protocol):
    """One connection. uvicorn makes it where a request asks for a WebSocket, and feeds it that request.

    Args:
        paths: who answers where.
        server_state: uvicorn's, which shuts the connection down with the others.
    """

    def __init__(self, paths: dict[str, Open], server_state: ServerState, **_: Any) -> None:
        self._paths, self._connections = paths, server_state.connections
        self._protocol = ServerProtocol(max_size=LARGEST)
        self._end: End | None = None
        self._parts: list[bytes] = []
        self._step: asyncio.Task[None] | None = None  # a message that takes longer; later ones wait
        self._waiting: deque[bytes] = deque()
        self._heard = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    # -- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(Direct, transport)
        self._connections.add(cast(Any, self))

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(cast(Any, self))
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._end is not None:
            self._end.gone()

    def shutdown(self) -> None:
        """The server stops."""
        self.close(1012)

    def data_received(self, data: bytes) -> None:
        self._heard = time.monotonic()
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._greet(event)
            elif isinstance(event, Frame) and event.opcode in _MESSAGE:
                self._frame(event)
        self._push()
        if self._protocol.close_expected():
            self._transport.close()

    def eof_received(self) -> None:
        self._protocol.receive_eof()

    def _greet(self, request: Request) -> None:
        """Let in who may come in."""
        opened = self._paths.get(request.path)
        if opened is None:
            self._protocol.send_response(self._protocol.reject(HTTPStatus.NOT_FOUND, "no socket here"))
            return
        try:
            headers = {name.lower().encode(): value.encode("latin-1") for name, value in request.headers.raw_items()}
            self._end = opened(self, headers)
        except NotAuthorized as error:
            self._protocol.send_response(self._protocol.reject(HTTPStatus.FORBIDDEN, error.parameter))
            return
        self._protocol.send_response(self._protocol.accept(request))
        self._timer = asyncio.get_running_loop().call_later(PING, self._ping)

    def _ping(self) -> None:
        if time.monotonic() - self._heard > SILENCE:
            self._transport.abort()
            return
        self._protocol.send_ping(b"")
        self._push()
        self._timer = asyncio.get_running_loop().call_later(PING, self._ping)

    # -- messages -------------------------------------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        """Send a message at once."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_binary(message)
            self._push()

    def close(self, code: int) -> None:
        """End the connection, with a code of RFC 6455."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code)
            self._push()
        self._transport.close()

    def _push(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
        self._transport.flush()

    def _frame(self, frame: Frame) -> None:
        self._parts.append(bytes(frame.data))
        if frame.fin:
            self._waiting.append(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
            self._parts.clear()
            if self._step is None:
                self._hear()

    def _hear(self) -> None:
        """Act on the messages that wait, in order, up to one that takes longer."""
        while self._waiting and self._end is not None and self._step is None:
            try:
                step = self._end.hear(self._waiting.popleft())
            except (msgspec.MsgspecError, CloudException) as error:
                self._refuse(error)
                return
            if step is not None:
                self._step = eager.start(self._act(step))

    async def _act(self, step: Coroutine[Any, Any, object]) -> None:
        try:
            await step
        except CloudException as error:
            self._refuse(error)
        finally:
            if self._step is not None:  # it took longer: others may wait
                self._step = None
                self._hear()

    def _refuse(self, error: Exception) -> None:
        log.error("%r cannot act on a message: %s", self._end, error)
        self._waiting.clear()
        self.close(1002)
