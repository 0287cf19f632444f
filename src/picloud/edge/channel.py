"""The edge's ends of channels: bytes to and from running jobs, over connections that their workers dial.

Somebody who wants in makes up a name that nobody can guess, asks control for the way, and waits for a connection that says
that name. A channel hands what comes to its peer, and stops reading while the peer has no room.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Protocol, cast

from msgspec import to_builtins

from picloud.edge.control import Control
from picloud.serving import Direct
from picloud.wire import channel
from picloud.wire.error import Unavailable
from picloud.wire.message import Connect, Execute

PATIENCE = 15.0
"""Seconds for a worker to dial."""
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class Peer(Protocol):
    """What a channel's bytes go to."""

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> Any: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Source(Protocol):
    """What can be told to read no further."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Paced:
    """An end that has something read for it only while it has room itself."""

    source: Source | None = None

    def pause_writing(self) -> None:
        if self.source is not None:
            self.source.pause_reading()

    def resume_writing(self) -> None:
        if self.source is not None:
            self.source.resume_reading()


class Channel(asyncio.Protocol):
    """One open channel. It reads nothing until it has a peer."""

    def __init__(self, transport: Direct) -> None:
        self._transport = transport
        self._peer: Peer | None = None
        self._closed = False
        transport.pause_reading()

    def attach(self, peer: Peer) -> None:
        """Hand everything to this peer."""
        self._peer = peer
        if self._closed:
            peer.connection_lost(None)
        else:
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        if not self._closed:
            self._transport.write(data)

    def write_eof(self) -> None:
        if not self._closed:
            self._transport.flush()
            self._transport.write_eof()

    def close(self) -> None:
        """End it, after what was written."""
        if not self._closed:
            self._transport.close()

    def pause_reading(self) -> None:
        if not self._closed:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._closed:
            self._transport.resume_reading()

    # -- what the loop says ---------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._peer is not None:
            self._peer.data_received(data)

    def eof_received(self) -> bool:
        if self._peer is not None:
            self._peer.eof_received()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if self._peer is not None:
            self._peer.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._peer is not None:
            self._peer.pause_writing()

    def resume_writing(self) -> None:
        if self._peer is not None:
            self._peer.resume_writing()


class Channels:
    """Those that are waited for."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._expected: dict[str, asyncio.Future[Channel]] = {}

    async def open(self, jid: int, what: Execute | Connect, *, keys: list[int] | None = None, account: int = 0) -> Channel:
        """A channel into a running job.

        Args:
            keys: API keys that were shown; the job is of the account of one of them.
            account: the job's account, where something of ours says so.

        Raises:
            CloudException: there is no such job for them, it does not run, or it could not be done there.
        """
        name = secrets.token_hex(16)
        arrived: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()
        self._expected[name] = arrived
        question = {"channel": name, "jid": jid, "what": to_builtins(what), "keys": keys or [], "account": account}
        try:
            await self._control.ask("/v1/edge/channel", question)
            async with asyncio.timeout(PATIENCE):
                return await arrived
        except TimeoutError:
            raise Unavailable(f"the worker of job {jid} did not answer", jid=jid, hint="try again in a moment") from None
        finally:
            del self._expected[name]
            if arrived.done() and not arrived.cancelled():
                arrived.exception()

    def arrive(self, path: str, headers: dict[str, str], transport: Direct) -> Channel | None:
        """A connection asks to be the channel of this path; None if nobody waits for it."""
        waiting = self._expected.get(path.removeprefix(channel.PATH))
        if waiting is None or waiting.done():
            return None
        if (error := headers.get(channel.ERROR.lower())) is not None:
            waiting.set_exception(channel.heard(error))
            return None
        transport.write(ACCEPTED)
        made = Channel(transport)
        waiting.set_result(made)
        return made


class Joint(Paced, asyncio.Protocol):
    """A visitor's connection on one side, a channel on the other; bytes pass as they are."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._channel: Channel | None = None
        self._lost = self._early_eof = False
        self._early: list[bytes] = []  # what came before there was a channel
        self._eofs = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def join(self, channel: Channel) -> None:
        """Begin to pass bytes."""
        self._channel = self.source = channel
        if self._lost:
            channel.close()
            return
        channel.attach(_Back(self))
        for data in self._early:
            channel.write(data)
        self._early.clear()
        self._transport.resume_reading()
        if self._early_eof:
            self.eof_received()

    def data_received(self, data: bytes) -> None:
        if self._channel is not None:
            self._channel.write(data)
        else:
            self._early.append(data)
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        if self._channel is not None:
            self._channel.write_eof()
            self.ended_one()
        else:
            self._early_eof = True
        return True

    def ended_one(self) -> None:
        """One direction has ended; after both the connection has."""
        self._eofs += 1
        if self._eofs == 2:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._channel is not None:
            self._channel.close()

    @property
    def transport(self) -> Any:
        return self._transport


class _Back(Paced):
    """The way from the channel to the visitor."""

    def __init__(self, joint: Joint) -> None:
        self._joint = joint
        self._transport = self.source = joint.transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def eof_received(self) -> None:
        if self._transport.can_write_eof():
            getattr(self._transport, "flush", lambda: None)()
            self._transport.write_eof()
        self._joint.ended_one()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport.close()
