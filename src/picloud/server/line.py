"""The near end of a WebSocket: a message that comes is a call, a message that goes is a write, nothing in between.

Workers and programs that call and wait talk over such lines, and each task or queue on their way costs a single call as much
as all the rest. The handshake is that of the library ``websockets``; after it the frames are ours (:mod:`picloud.wire.frames`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Protocol, cast

from uvicorn.server import ServerState
from websockets.http11 import Request
from websockets.server import ServerProtocol

from picloud.server import eager
from picloud.server.http import UNREADABLE
from picloud.serving import Direct
from picloud.settings import MIB
from picloud.wire import frames
from picloud.wire.error import CloudException, NotAuthorized

log = logging.getLogger("picloud.line")

LARGEST = 256 * MIB
PING, SILENCE = 15.0, 45.0
"""Seconds between two pings, and without any sign of life before the connection counts as lost."""


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
        self._inbox = frames.Inbox(masked=True, largest=LARGEST)
        self._end: End | None = None
        self._closed = False
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
        self._closed = True
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
        if self._closed:
            return
        if self._end is None:
            self._greet(data)
            return
        try:
            self._waiting.extend(self._inbox.take(data))
        except ConnectionError:
            self.close(1000)
            return
        if self._inbox.replies:
            self._write(self._inbox.replies)
            self._inbox.replies = b""
        if self._step is None:
            self._hear()

    def _greet(self, head: bytes) -> None:
        """Let in who may come in; uvicorn hands over the head of the request whole."""
        shake = ServerProtocol()
        shake.receive_data(head)
        request = next((event for event in shake.events_received() if isinstance(event, Request)), None)
        opened = self._paths.get(request.path) if request is not None else None
        try:
            if request is None or opened is None:
                shake.send_response(shake.reject(HTTPStatus.NOT_FOUND, "no socket here"))
            else:
                headers = {name.lower().encode(): value.encode("latin-1") for name, value in request.headers.raw_items()}
                end = opened(self, headers)
                answer = shake.accept(request)
                shake.send_response(answer)
                if answer.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
                    self._end = end
        except NotAuthorized as error:
            shake.send_response(shake.reject(HTTPStatus.FORBIDDEN, error.parameter))
        self._write(b"".join(shake.data_to_send()))
        if self._end is None:
            self.close(1000)
        else:
            self._timer = asyncio.get_running_loop().call_later(PING, self._ping)

    def _ping(self) -> None:
        if time.monotonic() - self._heard > SILENCE:
            self._transport.abort()
            return
        self._write(frames.ping())
        self._timer = asyncio.get_running_loop().call_later(PING, self._ping)

    # -- messages -------------------------------------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        """Send a message at once."""
        if not self._closed:
            self._write(frames.unmasked(message))

    def close(self, code: int) -> None:
        """End the connection, with a code of RFC 6455."""
        if not self._closed:
            self._closed = True
            if self._end is not None:
                self._write(frames.closing(code))
            self._transport.close()

    def _write(self, data: bytes) -> None:
        self._transport.write(data)
        self._transport.flush()

    def _hear(self) -> None:
        """Act on the messages that wait, in order, up to one that takes longer."""
        while self._waiting and self._end is not None and self._step is None:
            try:
                step = self._end.hear(self._waiting.popleft())
            except (*UNREADABLE, CloudException) as error:
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
