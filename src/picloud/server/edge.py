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
        self._watching: asyncio.Future[None] | None = None
        self._over = asyncio.Event()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it, and again whenever it ends, until :meth:`stop`."""
        await self._begin()
        self._watching = asyncio.ensure_future(self._watch())

    async def _begin(self) -> None:
        """Start it and hand over sockets and order. One that dies at once is for :meth:`_watch`."""
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

    async def _watch(self) -> None:
        """Nobody cancels this: a process that is being started just then would be left behind."""
        while True:
            assert self._process is not None
            code = await self._process.wait()
            if self._over.is_set():
                return
            log.error("the edge ended with %s; starting it again", code)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN):
                    await self._over.wait()
                    return
            await self._begin()
            if self._over.is_set():
                self._terminate()

    async def stop(self) -> None:
        """End it."""
        self._over.set()
        self._terminate()
        if self._watching is not None:
            await self._watching

    def _terminate(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                self._process.terminate()
