"""A connection of the edge that becomes something else than HTTP: a worker's channel, a terminal, or a WebSocket to a job's
web page."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.server import ServerState

from picloud.edge import terminal
from picloud.edge.channel import Channels, Joint
from picloud.edge.head import Head
from picloud.edge.proxy import Proxy
from picloud.edge.terminal import Terminals
from picloud.serving import Direct
from picloud.wire import channel
from picloud.wire.error import CloudException


class Arrival(Joint):
    """uvicorn makes it where a request asks for an upgrade, and feeds it the head of that request, whole.

    Args:
        server_state: uvicorn's, which shuts the connection down with the others.
    """

    def __init__(self, channels: Channels, proxy: Proxy, terminals: Terminals, server_state: ServerState, **_: Any) -> None:
        super().__init__()
        self._channels, self._proxy, self._terminals = channels, proxy, terminals
        self._connections = server_state.connections
        self._greeted = False
        self._work: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(Direct, transport)
        self._connections.add(cast(Any, self))

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(cast(Any, self))
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._greeted:
            super().data_received(data)
            return
        self._greeted = True
        head = Head.parse(data)
        if self._proxy.serves(head.host):
            self._work = asyncio.get_running_loop().create_task(self._enter(head))
        elif terminal.serves(head.path):
            self._hand_over(self._terminals.visit(data, head, self._transport, self._connections))
        elif not (head.path.startswith(channel.PATH) and self._become(head)):
            self._end(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def _become(self, head: Head) -> bool:
        """Be the channel that somebody waits for, from now on."""
        found = self._channels.arrive(head.path, head.plain(), self._transport)
        if found is None:
            return False
        self._hand_over(found)
        return True

    def _hand_over(self, protocol: asyncio.Protocol) -> None:
        """Be that from now on."""
        self._connections.discard(cast(Any, self))
        # Later: uvicorn makes us the protocol as soon as we return. Nothing is read until then.
        asyncio.get_running_loop().call_soon(self._transport.set_protocol, protocol)

    async def _enter(self, head: Head) -> None:
        try:
            found, raw = await self._proxy.upgraded(head)
        except CloudException as error:
            self._end(f"HTTP/1.1 {error.http_status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return
        found.write(raw)
        self.join(found)

    def _end(self, answer: bytes) -> None:
        self._transport.write(answer)
        self._transport.close()
