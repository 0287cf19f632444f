"""Serving an ASGI application on sockets that are already bound: the one place that knows uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from picloud.settings import MIB

GATHERED = 65_536
"""Bytes after which a gathering transport sends at once."""

Certificate = tuple[str, str]
"""Paths of a certificate and its key."""


class _Gathering:
    """A transport that gathers what one step of a task writes, and sends it as one.

    Headers, body and end of an answer are three writes for uvicorn, and each would be a system call that wakes the other
    side; for a short answer the wake-ups cost more than all the rest.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > GATHERED:
            self.flush()

    def flush(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if len(parts) == 1:
            self._transport.write(parts[0])
        elif parts:
            self._transport.writelines(parts)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol on a gathering transport; a WebSocket inherits it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Gathering(transport))  # type: ignore[arg-type]


class _Server(uvicorn.Server):
    """uvicorn whose signals are left to the program around it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Serving:
    """Some sockets, one application, until :meth:`stop`."""

    def __init__(
        self, app: Any, sockets: Sequence[socket.socket], certificate: Certificate | None = None, websockets: bool = False
    ) -> None:
        cert, key = certificate or (None, None)
        config = uvicorn.Config(
            app,
            log_level="warning",
            lifespan="off",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            http=_Protocol,
            loop="uvloop",
            ws="websockets-sansio" if websockets else "none",
            ws_per_message_deflate=False,
            ws_max_size=256 * MIB,
            ws_ping_interval=15.0,
            ws_ping_timeout=30.0,
            timeout_graceful_shutdown=2,
            backlog=2048,
            ssl_certfile=cert,
            ssl_keyfile=key,
        )
        self._server, self._sockets = _Server(config), list(sockets)

    @property
    def started(self) -> bool:
        return bool(self._server.started)

    async def run(self) -> None:
        """Serve until told to stop and the last answers are out (2 s at most)."""
        await self._server.serve(sockets=self._sockets)

    def stop(self) -> None:
        """Take no further requests and end."""
        self._server.should_exit = True
