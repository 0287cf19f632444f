"""One connection of ``ssh -L``: from the client's channel to a port of the job."""

from __future__ import annotations

from typing import Any

from asyncssh import SSHTCPChannel, SSHTCPSession

from picloud.edge.channel import Channel, Paced


class Forward(Paced, SSHTCPSession[bytes]):
    """One connection of ``-L``."""

    def __init__(self, found: Channel) -> None:
        self._channel = self.source = found
        self._chan: SSHTCPChannel[bytes]

    def connection_made(self, chan: SSHTCPChannel[bytes]) -> None:
        self._chan = chan

    def session_started(self) -> None:
        self._channel.attach(Back(self._chan))

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._channel.write(data)

    def eof_received(self) -> bool:
        self._channel.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel.close()


class Back(Paced):
    """The way from a channel to a connection of ``-L``."""

    def __init__(self, chan: SSHTCPChannel[bytes]) -> None:
        self._chan = self.source = chan

    def data_received(self, data: bytes) -> None:
        self._chan.write(data)

    def eof_received(self) -> None:
        self._chan.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._chan.close()
