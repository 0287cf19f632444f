"""The far end of a worker's WebSocket: a message that comes is a call, a message that goes is a write, nothing in between.

The WebSocket itself is that of the library ``websockets``, without its loops: the way of a lease to its worker is part of
every single call, and each task or queue on it costs as much as all the rest.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, cast

import msgspec
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from picloud.server.api import worker as api
from picloud.server.control import Control
from picloud.server.fleet import Worker
from picloud.serving import Direct
from picloud.settings import MIB
from picloud.wire.error import CloudException, NotAuthorized
from picloud.wire.message import decode_to_server

log = logging.getLogger("picloud.worker")

PATH = "/v1/worker"
LARGEST = 256 * MIB
PING, SILENCE = 15.0, 45.0
"""Seconds between two pings, and without any sign of life before the connection counts as lost."""
_MESSAGE = (Opcode.BINARY, Opcode.CONT)


class WorkerLine(asyncio.Protocol):
    """One connection of one worker. uvicorn makes it where a request asks for a WebSocket, and feeds it that request.

    Args:
        control: the server.
        server_state: uvicorn's, which shuts the connection down with the others.
    """

    def __init__(self, control: Control, server_state: ServerState, **_: Any) -> None:
        self._control, self._connections = control, server_state.connections
        self._protocol = ServerProtocol(max_size=LARGEST)
        self._worker: Worker | None = None
        self._parts: list[bytes] = []
        self._step: asyncio.Task[None] | None = None  # a message that takes longer; later ones wait
        self._later: deque[bytes] = deque()
        self._heard = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    # -- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(Direct, transport)
        self._connections.add(cast(Any, self))

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(cast(Any, self))
        self._later.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._worker is not None and self._worker.line is self:
            self._worker.line = None

    def shutdown(self) -> None:
        """The server stops."""
        self._close(1012)

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
        """Let a live worker in."""
        if request.path != PATH:
            self._protocol.send_response(self._protocol.reject(HTTPStatus.NOT_FOUND, "no socket here"))
            return
        try:
            value = request.headers.get("Authorization", "")
            self._worker = self._control.authority.worker({b"authorization": value.encode("latin-1")})
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

    def _push(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.flush()
                self._transport.write_eof()
        self._transport.flush()

    def _close(self, code: int) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code)
            self._push()
        self._transport.close()

    def _frame(self, frame: Frame) -> None:
        self._parts.append(bytes(frame.data))
        if frame.fin:
            message = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._later.append(message)
            if self._step is None:
                self._hear()

    def _hear(self) -> None:
        """Act on the messages that wait, in order, up to one that takes longer."""
        while self._later and self._worker is not None:
            try:
                step = api.hear(self._control, self._worker, self, decode_to_server(self._later.popleft()))
            except (msgspec.MsgspecError, CloudException) as error:
                self._refuse(error)
                return
            if step is not None:
                self._step = asyncio.ensure_future(self._finish(step))
                return

    async def _finish(self, step: Coroutine[Any, Any, object]) -> None:
        try:
            await step
        except CloudException as error:
            self._refuse(error)
        finally:
            self._step = None
        self._hear()

    def _refuse(self, error: Exception) -> None:
        assert self._worker is not None
        log.error("worker %s sent what cannot be acted on: %s", self._worker.incarnation, error)
        self._later.clear()
        self._close(1002)
