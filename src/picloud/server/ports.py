"""The ports that running jobs listen on, and where they are shown: one outer port each, on the edge's port address.

In memory only. After a restart the workers tell what they had, and get it back. A port counts from the moment when the edge
has said that it listens there.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct, field

from picloud.server.fleet import Fleet, Worker
from picloud.settings import Settings
from picloud.wire.message import Mapped, Neighbours
from picloud.wire.message import Ports as Report

log = logging.getLogger("picloud.ports")

SSH = 22


class Attempt(Struct):
    """A running attempt with ports."""

    account: int
    worker: Worker
    n: int
    tcp: dict[int, int] = field(default_factory=dict)  # inner -> outer


class Ports:
    """See the module."""

    def __init__(self, fleet: Fleet, settings: Settings) -> None:
        self._fleet, self._settings = fleet, settings
        self._attempts: dict[int, Attempt] = {}  # by jid
        self._taken: dict[int, int] = {}  # outer -> jid
        self._open: set[int] = set()  # outer ports where the edge listens
        self._waiting: dict[int, set[asyncio.Event]] = {}  # by jid
        self._spread: asyncio.TimerHandle | None = None
        self.tell: Callable[[bytes], None] = lambda line: None  # to the edge

    # -- what workers say -----------------------------------------------------------------------------------------

    def report(self, worker: Worker, told: Report) -> None:
        """An attempt listens on other ports than before."""
        held = worker.held.get(told.jid)
        if not told.tcp or held is None or held[0] != told.n:
            self._end(told.jid, told.n)
            return
        attempt = self._attempts.get(told.jid)
        if attempt is None or attempt.n != told.n or attempt.worker is not worker:
            self._end(told.jid)
            attempt = self._attempts[told.jid] = Attempt(worker.kind.account, worker, told.n)
        wanted = dict(told.tcp)
        for inner in attempt.tcp.keys() - wanted.keys():
            self._release(attempt.tcp.pop(inner))
        for inner, former in wanted.items():
            if inner not in attempt.tcp and 0 < inner < 65_536 and (outer := self._choose(former)):
                attempt.tcp[inner] = outer
                self._taken[outer] = told.jid
        self._changed()

    def started(self, jids: list[int]) -> None:
        """Jobs have begun to run: their own shells can be had."""
        for jid in jids:
            self._wake(jid)

    def gone(self, worker: Worker) -> None:
        """A worker has ended, and with it the attempts it held."""
        for jid, attempt in list(self._attempts.items()):
            if attempt.worker is worker:
                self._end(jid)

    def settle(self, worker: Worker) -> None:
        """A worker said what it holds: what it does not hold has ended."""
        for jid, attempt in list(self._attempts.items()):
            if attempt.worker is worker and worker.held.get(jid, (0, b""))[0] != attempt.n:
                self._end(jid)
        self._show(worker)

    # -- what is asked --------------------------------------------------------------------------------------------

    def of(self, account: int, jid: int) -> dict[int, int]:
        """Inner -> outer port of a running job, those that can be reached now."""
        attempt = self._attempts.get(jid)
        if attempt is None or attempt.account != account or jid not in attempt.worker.held:
            return {}
        return {inner: outer for inner, outer in attempt.tcp.items() if outer in self._open}

    def shown(self, account: int, jid: int, ssh: tuple[str, int]) -> dict[str, Any]:
        """The field ``ports`` of a running job. ``ssh``: where the gateway is reached."""
        address = self._settings.port_address
        tcp: dict[int, Any] = {SSH: {"address": ssh[0], "port": ssh[1], "username": str(jid)}}
        tcp |= {inner: {"address": address, "port": outer} for inner, outer in self.of(account, jid).items()}
        return {"tcp": tcp, "udp": {}}

    @contextmanager
    def watching(self, jid: int, event: asyncio.Event) -> Iterator[None]:
        """``event`` is set whenever something may have changed for a job."""
        self._waiting.setdefault(jid, set()).add(event)
        try:
            yield
        finally:
            left = self._waiting[jid]
            left.discard(event)
            if not left:
                del self._waiting[jid]

    # -- what the edge is told ------------------------------------------------------------------------------------

    def message(self) -> bytes:
        """The whole map, as one line of JSON: outer -> account, jid, attempt, inner."""
        found = {
            outer: [one.account, jid, one.n, inner] for jid, one in self._attempts.items() for inner, outer in one.tcp.items()
        }
        return json.dumps({"ports": found}).encode() + b"\n"

    def listening(self, open_now: list[int], failed: list[int]) -> None:
        """Where the edge listens now, and where it could not: those jobs get another port."""
        before, self._open = self._open, set(open_now) & self._taken.keys()
        for outer in failed:
            self._replace(outer)
        for jid in {self._taken[outer] for outer in self._open ^ before if outer in self._taken}:
            self._mapped(jid)
        for worker in self._fleet:
            self._show(worker)
        for jid in {self._taken[outer] for outer in self._open ^ before if outer in self._taken}:
            self._wake(jid)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _choose(self, former: int) -> int:
        """The port it had, else the lowest free one; 0 = all are taken."""
        first, last = self._settings.port_first, self._settings.port_last
        if first <= former <= last and former not in self._taken:
            return former
        for outer in range(first, last + 1):
            if outer not in self._taken and self._is_free(outer):
                return outer
        log.error("all ports from %d to %d are taken", first, last)
        return 0

    def _is_free(self, outer: int) -> bool:
        """Whether no other program of this machine has it."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._settings.port_address, outer))
            except OSError as error:
                return error.errno != errno.EADDRINUSE
        return True

    def _replace(self, outer: int) -> None:
        attempt = self._attempts.get(self._taken.get(outer, 0))
        inner = next((i for i, o in attempt.tcp.items() if o == outer), None) if attempt else None
        if attempt is None or inner is None:
            return
        jid = self._taken[outer]
        found = self._choose(0)  # the one that failed still counts as taken
        self._release(outer)
        if found:
            attempt.tcp[inner] = found
            self._taken[found] = jid
        else:
            del attempt.tcp[inner]
        self._changed()

    def _end(self, jid: int, n: int | None = None) -> None:
        attempt = self._attempts.get(jid)
        if attempt is None or (n is not None and attempt.n != n):
            return
        del self._attempts[jid]
        for outer in attempt.tcp.values():
            self._release(outer)
        self._changed()

    def _release(self, outer: int) -> None:
        self._taken.pop(outer, None)
        self._open.discard(outer)

    def _changed(self) -> None:
        """Tell the edge, soon, together with what else changes in this turn."""
        if self._spread is None:
            self._spread = asyncio.get_running_loop().call_later(0.005, self._tell)

    def _tell(self) -> None:
        self._spread = None
        self.tell(self.message())

    def _mapped(self, jid: int) -> None:
        attempt = self._attempts.get(jid)
        if attempt is not None:
            attempt.worker.send(Mapped(jid, attempt.n, dict(attempt.tcp)))

    def _show(self, worker: Worker) -> None:
        """Tell a worker what its sandboxes shall show of the account's jobs."""
        account = worker.kind.account
        mine = sorted(
            outer
            for one in self._attempts.values()
            if one.account == account
            for outer in one.tcp.values()
            if outer in self._open
        )
        if mine != worker.neighbours:
            worker.neighbours = mine
            worker.send(Neighbours(self._settings.port_address, mine))

    def _wake(self, jid: int) -> None:
        for event in self._waiting.get(jid, ()):
            event.set()
