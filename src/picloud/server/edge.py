"""The edge process as control keeps it: started with inherited sockets, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence

import msgspec

from picloud.edge.__main__ import EdgeOrder

log = logging.getLogger("picloud.edge")

AGAIN = 0.5
"""Seconds before a dead edge is started again."""


class EdgeProcess:
    """One child that serves bytes on sockets we hold."""

    def __init__(self, order: EdgeOrder, sockets: Sequence[socket.socket], environment: dict[str, str]) -> None:
        self._order, self._sockets, self._environment = order, sockets, environment
        self.greeting: Callable[[], bytes] = bytes  # the first thing that each edge is told
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it and hand over sockets and order. One that dies at once is for :meth:`watch`."""
        descriptors = [bound.fileno() for bound in self._sockets]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "picloud.edge",
            stdin=asyncio.subprocess.PIPE,
            pass_fds=descriptors,
            env=os.environ | self._environment,
        )
        self.tell(msgspec.json.encode(self._order) + b"\n" + self.greeting())

    def tell(self, line: bytes) -> None:
        """Tell it something new; one that is being started again is told in its greeting."""
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return
        with contextlib.suppress(
            OSError, RuntimeError
        ):  # it died just now; the latter is uvloop's word for a pipe that is closed
            process.stdin.write(line)

    async def watch(self) -> None:
        """Start it again whenever it ends, until cancelled."""
        while True:
            assert self._process is not None
            code = await self._process.wait()
            log.error("the edge ended with %s; starting it again", code)
            await asyncio.sleep(AGAIN)
            await self.start()

    async def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
