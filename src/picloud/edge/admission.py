"""Who may be in by ssh, and for how long: asked at the login, and again and again while a connection lasts.

Of what a client has shown the public key is kept, or the sha256 of the secret. A connection ends when one of the API keys that it
opened with is gone, is switched off, has expired or another secret, or when its account is switched off.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Any

from picloud.edge.control import Control
from picloud.wire.error import CloudException, TooMany

log = logging.getLogger("picloud.edge")

LOOK = 2.0
"""Seconds between two looks whether those who are in may still be."""
TOLD = 10
"""Public keys of a failed login that are told."""


class Visitor:
    """One connection, from its first try to its end."""

    def __init__(self, address: str, end: Callable[[], None]) -> None:
        self.address, self.end = address, end
        self.jid = 0
        self.keys: list[int] = []
        self.entered = False
        self._shown: dict[str, str] = {}
        self._tried: list[str] = []
        self._secrets = 0

    @property
    def shown(self) -> dict[str, str]:
        """What opened the door."""
        return self._shown

    @property
    def failed(self) -> dict[str, Any] | None:
        """What is told of one who tried and never came in; None = nothing was compared."""
        if self.entered or not (self._tried or self._secrets):
            return None
        return {"jid": self.jid, "address": self.address, "keys": self._tried[:TOLD], "secrets": self._secrets}

    def note(self, shown: dict[str, str], keys: list[int]) -> None:
        """What was compared, and with what outcome."""
        if keys:
            self._shown, self.keys = shown, keys
        elif "public" in shown:
            self._tried.append(hashlib.sha256(shown["public"].encode()).hexdigest()[:16])
        else:
            self._secrets += 1


class Admission:
    """All that are in."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._inside: set[Visitor] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, visitor: Visitor, shown: dict[str, str]) -> list[int]:
        """The API keys that what is shown opens with.

        Raises:
            TooMany: there were too many wrong ones from there.
            Unavailable: control does not answer.
        """
        keys: list[int] = (await self._control.ask("/v1/edge/login", {**shown, "address": visitor.address}))["keys"]
        visitor.note(shown, keys)
        return keys

    def enter(self, visitor: Visitor) -> None:
        """Its client has proved that what opened the door is its own."""
        visitor.entered = True
        self._inside.add(visitor)

    def leave(self, visitor: Visitor) -> None:
        """The connection has ended; one that never came in is told of."""
        self._inside.discard(visitor)
        if visitor.failed is not None:
            task = asyncio.ensure_future(self._tell(visitor.failed))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def watch(self) -> None:
        """End those that may be in no more, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                await self._look()
            except CloudException as error:  # nobody loses a session because control is busy
                log.warning("who is in by ssh could not be looked at: %s", error.parameter)

    async def _look(self) -> None:
        inside = list(self._inside)
        if not inside:
            return
        found = (await self._control.ask("/v1/edge/still", {"shown": [one.shown for one in inside]}))["keys"]
        for one, keys in zip(inside, found, strict=True):
            if not set(one.keys) <= set(keys):
                one.end()

    async def _tell(self, failed: dict[str, Any]) -> None:
        try:
            await self._control.ask("/v1/edge/refused", failed)
        except CloudException as error:
            log.warning("a failed login by ssh could not be written down: %s", error.parameter)


def words(error: CloudException) -> str:
    """Why there is no way in now."""
    return f"{error.parameter}: {error.hint}" if isinstance(error, TooMany) else error.parameter
