"""Serving an ASGI application on sockets that are already bound: the one place that knows uvicorn."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import uvicorn

from picloud.settings import MIB

Certificate = tuple[str, str]
"""Paths of a certificate and its key."""


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
            http="httptools",
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
