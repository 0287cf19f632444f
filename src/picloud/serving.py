"""Serving an ASGI application on sockets that are already bound: the one place that knows uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

GATHERED = 65_536
"""Bytes after which a :class:`Direct` transport sends at once."""
CALM_AFTER = 0.02
"""Seconds between two looks whether a socket that was full is empty again."""

Certificate = tuple[str, str]
"""Paths of a certificate and its key."""


class Direct:
    """A transport that gathers what one step of a task writes, and hands it to the socket itself, as one.

    Headers, body and end of an answer are three writes for uvicorn, and each would be a system call that wakes the other
    side; for a short answer the wake-ups cost more than all the rest. And the loop's own transport sends at the end of the
    loop's turn, behind whatever else that turn still has to do. What the socket does not take at once, and all of TLS, goes
    by that transport.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._size = 0
        plain = transport.get_extra_info("sslcontext") is None
        self._fd: int | None = transport.get_extra_info("socket").fileno() if plain else None
        self._behind = False  # the transport may still have something to send
        self._touched = False  # it was given more since the last look

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > GATHERED:
            self.flush()

    def flush(self) -> None:
        """Send what was gathered."""
        if not self._parts:
            return
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._size = [], 0
        sent = 0
        if self._fd is not None and not self._behind and not self._transport.is_closing():
            try:
                sent = os.write(self._fd, data)
            except OSError:
                sent = 0  # full, or broken: the transport meets the same and knows what to do
        if sent < len(data):
            self._transport.write(data[sent:])
            self._touched = True
            if not self._behind:
                self._behind = True
                self._loop.call_later(CALM_AFTER, self._calm)

    def _calm(self) -> None:
        """Take the short way again, once the transport has sent everything; what it got in this turn its size hides."""
        if (self._touched or self._transport.get_write_buffer_size()) and not self._transport.is_closing():
            self._touched = False
            self._loop.call_later(CALM_AFTER, self._calm)
        else:
            self._behind = False

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol on a direct transport; what a connection is upgraded to inherits it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Direct(transport))  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()


class _Server(uvicorn.Server):
    """uvicorn whose signals are left to the program around it, and which sleeps while there is nothing to do: it would wake up
    ten times a second for the Date header, that we do not send, and to see whether it shall stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    async def main_loop(self) -> None:
        await self._ending.wait()

    def end(self) -> None:
        """Stop, soon."""
        self.should_exit = True
        self._ending.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Serving:
    """Some sockets, one application, until :meth:`stop`."""

    def __init__(
        self,
        app: Any,
        sockets: Sequence[socket.socket],
        certificate: Certificate | None = None,
        upgrade: Callable[..., asyncio.Protocol] | None = None,
    ) -> None:
        """``upgrade``: makes the protocol of a connection that asks for a WebSocket, from uvicorn's keywords for it."""
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
            ws=upgrade or "none",  # type: ignore[arg-type]  # uvicorn calls it like a class
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
        self._server.end()
