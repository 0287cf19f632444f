"""The job socket: all runners of a worker read it, each datagram is one job, whoever is free takes the next.

The worker keeps the receiving end too. Whatever no runner has taken it can take back: that is recall, kill before start,
the end of slots and the clean-up after a crash, all in one.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

from picloud.wire.message import Lease
from picloud.worker import frame

ROOM = 4 << 20  # bytes of socket buffer asked for; the kernel gives what it allows

Key = tuple[int, int]  # jid, n


class Fed(NamedTuple):
    """A lease that lies in the socket, or was taken by a runner that has not said so yet."""

    lease: Lease
    serial: int


class Feed:
    """The socket and what lies in it."""

    def __init__(self) -> None:
        self._into, self.out = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._into.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        self.lying: dict[Key, Fed] = {}
        self.quits = 0
        self._serial = 0
        self._buffer = bytearray(frame.LARGEST + 1024)

    def put(self, lease: Lease, spec: int, payload: bytes, flags: int) -> bool:
        """Put a job in, with the key of its spec; False if there is no room now."""
        try:
            self._into.send(frame.job(lease.jid, lease.n, spec, payload, flags), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        self._serial += 1
        self.lying[lease.jid, lease.n] = Fed(lease, self._serial)
        return True

    def put_quit(self) -> None:
        """Have the runner that comes next leave."""
        self._into.send(frame.quit_frame, socket.MSG_DONTWAIT)
        self.quits += 1

    def taken(self, key: Key) -> Lease | None:
        """A runner says that it has this job; None if it was not in the socket."""
        found = self.lying.pop(key, None)
        return found.lease if found else None

    def drain(self) -> list[Lease]:
        """Take back all that no runner has taken, in order. Orders to leave are taken back as well."""
        back: list[Lease] = []
        while True:
            try:
                self.out.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return back
            kind, _, n, jid, _ = frame.job_head.unpack_from(self._buffer)
            if kind == frame.QUIT:
                self.quits -= 1
            elif (found := self.lying.pop((jid, n), None)) is not None:
                back.append(found.lease)

    def close(self) -> None:
        """Close both ends; runners that wait leave."""
        self._into.close()
        self.out.close()
