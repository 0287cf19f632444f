"""The workers as this process sees them: who is connected, what they hold, what they wait for.

Nothing here is truth: leases are rows. What is here only spares questions to the database, and is rebuilt from the
workers' own words after a restart.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Protocol

from picloud.server.kind import Kind
from picloud.wire.image import Image
from picloud.wire.message import Ack, Outcome, Spec, ToWorker, encode

KNOWN = 8192
"""Specs that a connection is trusted to remember."""
HELD_BYTES = 16 << 20
"""Bytes of arguments, about, in the leases of one worker."""
SMALL = 1024
"""Bytes of arguments that nobody counts."""
ACK_AFTER = 0.05
"""Seconds that an acknowledgement may wait for company."""
STUCK = 10.0
"""Seconds without an ended job after which what waits behind long jobs gets a further slot, if there is room."""


class Line(Protocol):
    """A connection to a worker."""

    def send(self, message: bytes) -> None:
        """Send a message at once."""


class Worker:
    """One placed worker: perhaps still starting, perhaps connected (``line`` is set)."""

    def __init__(self, id: int, incarnation: str, secret_hash: bytes, kind: Kind, *, reserved: bool = False) -> None:
        self.id, self.incarnation, self.secret_hash, self.kind = id, incarnation, secret_hash, kind
        self.reserved = reserved  # it works on cores that are kept ready for its account
        self.price = 0 if reserved else kind.price  # of a core for its jobs: reserved cores are paid by the reservation
        self.line: Line | None = None
        self.pid = 0
        self.window = 0
        self.slots = 0
        self.ready = 0  # slots whose runner can take jobs, or has one
        self.busy = 0
        self.lent = 0
        self.target = 0
        self.held: dict[int, tuple[int, bytes]] = {}  # jid -> (n, lease)
        self._specs: OrderedDict[int, None] = OrderedDict()  # submissions whose spec this connection knows
        self.runtime_us: float | None = None  # of recent jobs, smoothed
        self.argument_bytes = 0  # of a lease of the newest batch, on average
        self.leasing = False
        self._acks: list[tuple[int, int]] = []
        self.outcomes: list[Outcome] = []  # arrived while others were being finished
        self.finishing = False
        self.idle_since = 0.0
        self.moved = time.monotonic()  # when it last ended a job, changed its size, or had no job that waits
        self.worked = 0.0  # when it last got or ended a job
        self.image: Image | None = None  # None: not read from the store yet
        self.neighbours: list[int] = []  # outer ports that it was told of

    @property
    def connected(self) -> bool:
        return self.line is not None

    def stuck(self, waiting: bool) -> bool:
        """Whether its jobs have waited for a long time while none came to an end: all of its slots hold long ones."""
        if not waiting:
            self.moved = time.monotonic()
        return time.monotonic() - self.moved > STUCK

    def send(self, message: ToWorker) -> None:
        """Send a message; nothing happens while the worker is away (it will say hello again)."""
        if self.line is not None:
            self.line.send(encode(message))

    def acknowledge(self, attempts: list[tuple[int, int]]) -> None:
        """Tell the worker that it may forget these outcomes: soon, together with others or with the next leases."""
        if not self._acks:
            asyncio.get_running_loop().call_later(ACK_AFTER, self._flush_acks)
        self._acks += attempts

    def _flush_acks(self) -> None:
        if self._acks:
            acks, self._acks = self._acks, []
            self.send(Ack(acks))

    def lacks(self, submissions: Iterable[int]) -> list[int]:
        """Those submissions whose spec has to be sent with their leases."""
        return sorted(s for s in set(submissions) if s not in self._specs)

    def used(self, submissions: Iterable[int], sent: Iterable[Spec] = ()) -> None:
        """Leases of these submissions are sent, in this order; the worker knows their specs from now on.

        Args:
            sent: the specs that go with them; those with secrets go with each batch, for these may change.
        """
        self.worked = time.monotonic()
        for submission in submissions:
            self._specs[submission] = None
            self._specs.move_to_end(submission)
        while len(self._specs) > KNOWN:
            self._specs.popitem(last=False)
        for spec in sent:
            if spec.options.secrets:
                self._specs.pop(spec.submission, None)

    def greet(self, line: Line, pid: int) -> None:
        """A new connection, which knows nothing yet."""
        self._specs.clear()
        self.neighbours = []
        self.line, self.pid = line, pid

    def room(self) -> int:
        """Leases that it may hold: its window, or as many as bring HELD_BYTES of arguments."""
        return min(self.window, HELD_BYTES // self.argument_bytes) if self.argument_bytes > SMALL else self.window

    def learn(self, runtimes_us: Iterable[int]) -> None:
        """Take the run times of finished jobs into the smoothed figure."""
        self.moved = self.worked = time.monotonic()
        for value in runtimes_us:
            seen = self.runtime_us
            self.runtime_us = float(value) if seen is None else seen + (value - seen) * (0.5 if value > seen else 0.05)

    def holds(self, jid: int, n: int, lease: bytes) -> bool:
        return self.held.get(jid) == (n, lease)


class Fleet:
    """All workers by incarnation; those on reserved cores come first wherever workers are looked through."""

    def __init__(self) -> None:
        self.by_incarnation: dict[str, Worker] = {}

    def add(self, worker: Worker) -> None:
        if worker.reserved:
            self.by_incarnation = {worker.incarnation: worker, **self.by_incarnation}
        else:
            self.by_incarnation[worker.incarnation] = worker

    def remove(self, incarnation: str) -> Worker | None:
        return self.by_incarnation.pop(incarnation, None)

    def of_kind(self, kind: int) -> list[Worker]:
        """The workers of a kind on this host: one process for each kind, and one more where cores are reserved for it."""
        return [w for w in self.by_incarnation.values() if w.kind.id == kind]

    def the(self, kind: int, *, reserved: bool) -> Worker | None:
        """The one of these on reserved cores, or the one that is not."""
        return next((w for w in self.by_incarnation.values() if w.kind.id == kind and w.reserved == reserved), None)

    def of_id(self, worker: int) -> Worker | None:
        return next((w for w in self.by_incarnation.values() if w.id == worker), None)

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self.by_incarnation.values()))
