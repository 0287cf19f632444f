"""What takes minutes and prints meanwhile: scripts in setup jobs, bases in the making. Their output, for who asks for it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable
from typing import Any

from picloud.wire.error import NotFound

KEPT = 4 << 20
"""Last bytes kept of what one printed."""
MOST = 200
"""So many are remembered."""


class Run:
    """One of them. ``jid``: the setup job in which it runs, 0 for none."""

    def __init__(self, account: int, jid: int = 0) -> None:
        self.account, self.jid = account, jid
        self.output, self.start = bytearray(), 0  # ``start``: bytes that were dropped before
        self.exit_code: int | None = None
        self.error = ""
        self.changed = asyncio.Event()

    @property
    def over(self) -> bool:
        return self.exit_code is not None or bool(self.error)

    @property
    def end(self) -> int:
        """Bytes printed so far."""
        return self.start + len(self.output)

    def hear(self, offset: int, data: bytes) -> None:
        """Output that begins after ``offset`` bytes; what leaves a gap is not taken."""
        at = offset - self.start
        if 0 <= at <= len(self.output):
            self.output[at:] = data
        if len(self.output) > KEPT:
            self.start += len(self.output) - KEPT
            del self.output[:-KEPT]
        self.changed.set()

    def finish(self, exit_code: int | None, error: str = "") -> None:
        """It has ended."""
        self.exit_code, self.error = exit_code, error
        self.changed.set()


class Runs:
    """All of them, by token."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Run] = OrderedDict()

    def begin(self, token: bytes, account: int, jid: int = 0) -> Run | None:
        """A new one; None where that token was used before."""
        if token in self._known:
            return None
        run = self._known[token] = Run(account, jid)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return run

    def get(self, token: bytes) -> Run | None:
        """The one of that token."""
        return self._known.get(token)

    def lost(self, jid: int, why: str) -> None:
        """A setup job has ended, and all that ran in it."""
        for run in self._known.values():
            if run.jid == jid and not run.over:
                run.finish(None, why)

    async def output(self, account: int, token: bytes, offset: int, seconds: float) -> Run:
        """One as soon as it has printed more than ``offset`` bytes or has ended, or when the time is up.

        Raises:
            NotFound: there is none of that token.
        """
        run = self._known.get(token)
        if run is None or run.account != account:
            raise NotFound("nothing of that token runs", hint="the server was restarted since, or it ended long ago")
        until = asyncio.get_running_loop().time() + seconds
        while not run.over and run.end <= offset:
            run.changed.clear()
            if not await within(until, run.changed.wait()):
                break
        return run


async def within(until: float, waits: Awaitable[Any]) -> bool:
    """Wait to the end of ``waits`` or until that time of the loop; whether it ended."""
    try:
        await asyncio.wait_for(waits, max(0.0, until - asyncio.get_running_loop().time()))
        return True
    except TimeoutError:
        return False
