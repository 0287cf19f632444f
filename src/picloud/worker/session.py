"""The worker's conversation with control: connect, say what is held, take orders, hand in outcomes until they are acknowledged.

When the connection is lost the slots go on; outcomes wait. After ``order.reconnect`` seconds without control, or when
control does not know this worker any more, everything is killed: the leases are not ours then.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from picloud.wire import WIRE_VERSION
from picloud.wire.error import NotAuthorized, Unavailable
from picloud.wire.message import (
    Ack,
    Credit,
    Dial,
    Done,
    Hello,
    Kill,
    Lease,
    Leases,
    LogChunk,
    Logs,
    Mapped,
    Neighbours,
    Outcome,
    Perform,
    Recall,
    Returned,
    Save,
    Slots,
    Spec,
    Started,
    Stop,
    ToServer,
    ToWorker,
    decode_to_worker,
    encode,
)
from picloud.worker.feed import Key
from picloud.worker.line import Line
from picloud.worker.loop import READ, WRITE, Loop, Timer
from picloud.worker.order import Order

log = logging.getLogger(__name__)

BATCH = 256  # outcomes in one message
BATCH_BYTES = 4 << 20  # or bytes of results
BATCH_AGE = 0.002  # seconds between two messages with outcomes
IDLE = 60.0  # seconds to wait for events when there is nothing to hand in
BACK_OFF = (0.05, 2.0)  # seconds between attempts to connect, first and longest
LOGS_KEPT = 64 << 20  # bytes of output kept while there is no connection
LOGS_BATCH = 1 << 20


class Visits(Protocol):
    """What it commands about guests and ports."""

    def dial(self, order: Dial) -> None: ...
    def mapped(self, told: Mapped) -> None: ...
    def show(self, told: Neighbours) -> None: ...
    def greeted(self) -> None: ...


class Work(Protocol):
    """What the session commands (the pool)."""

    held: dict[Key, Lease]

    @property
    def visits(self) -> Visits: ...

    def accept(self, specs: list[Spec], leases: list[Lease]) -> None: ...
    def resize(self, target: int) -> None: ...
    def recall(self, keep: int) -> None: ...
    def kill(self, keys: list[Key]) -> None: ...
    def credit(self) -> Credit: ...
    def drain(self, seconds: float) -> None: ...
    def end(self) -> None: ...


class Obeys(Protocol):
    """What sees to setup jobs (picloud.worker.saving)."""

    def obey(self, message: Save | Perform) -> None: ...


class Session:
    """See the module. ``work`` and ``saving`` are set once the pool exists."""

    def __init__(self, loop: Loop, order: Order) -> None:
        self.loop, self.order = loop, order
        self.work: Work
        self.saving: Obeys
        self._line: Line | None = None
        self._unacknowledged: dict[Key, Outcome] = {}
        self._outcomes: list[Outcome] = []
        self._outcome_bytes = 0
        self._flushed = 0.0  # when outcomes were handed in last
        self._logs: deque[LogChunk] = deque()
        self._log_bytes = 0
        self._credit: Credit | None = None
        self._changed = True
        self._pause = BACK_OFF[0]
        self._lost = time.monotonic()
        self._watched_write = False
        self._give_up: Timer | None = None

    # -- connection -----------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Dial in a thread; :meth:`_connected` follows."""
        self.order.look()
        self.loop.work(lambda: Line.dial(self.order.url, self.order.authorization), self._connected)

    def _connected(self, line: Line | None, error: BaseException | None) -> None:
        if line is None:
            self._refused(error)
            return
        self._line, self._pause = line, BACK_OFF[0]
        held = [(lease.jid, lease.n, lease.lease) for lease in self.work.held.values()]
        held += [(outcome.jid, outcome.n, outcome.lease) for outcome in self._unacknowledged.values()]
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        self._credit, self._changed = None, True
        self._outcomes = list(self._unacknowledged.values())
        self._outcome_bytes = sum(len(outcome.data) for outcome in self._outcomes)
        self.loop.watch(line.fileno(), self._readable)
        self._send(Hello(self.order.incarnation, WIRE_VERSION, os.getpid(), version, held))
        self.work.visits.greeted()
        self.flush()
        self._readable()

    def _refused(self, error: BaseException | None) -> None:
        if isinstance(error, NotAuthorized):
            log.error("control does not know this worker any more; ending")
            self._exit()
        elif time.monotonic() - self._lost > self.order.reconnect:
            log.error("no connection to control for too long; ending")
            self._exit()
        else:
            self.loop.after(self._pause, self.connect)
            self._pause = min(2 * self._pause, BACK_OFF[1])

    def _exit(self) -> None:
        self.work.end()
        self.loop.stop()

    def _drop(self) -> None:
        """The connection is lost."""
        if self._line is None:
            return
        self.loop.forget(self._line.fileno())
        self._line.close()
        self._line, self._watched_write = None, False
        self._lost = time.monotonic()
        self.loop.after(self._pause, self.connect)

    def _readable(self) -> None:
        line = self._line
        if line is None:
            return
        try:
            messages = line.receive()
            line.flush()
        except Unavailable as error:
            log.warning("%s", error)
            self._drop()
            return
        for message in messages:
            self._obey(decode_to_worker(message))
        self._watch_write()

    def _send(self, message: ToServer) -> None:
        if self._line is None:
            return
        try:
            self._line.send(encode(message))
        except Unavailable as error:
            log.warning("%s", error)
            self._drop()
        self._watch_write()

    def _watch_write(self) -> None:
        line = self._line
        if line is not None and line.clogged != self._watched_write:
            self._watched_write = line.clogged
            self.loop.watch(line.fileno(), self._readable, READ | WRITE if line.clogged else READ)

    # -- orders ---------------------------------------------------------------------------------------------------

    def _obey(self, message: ToWorker) -> None:
        match message:
            case Leases():
                self.work.accept(message.specs, message.jobs)
            case Ack():
                for jid, n in message.jobs:
                    self._unacknowledged.pop((jid, n), None)
            case Slots():
                self.work.resize(message.target)
            case Recall():
                self.work.recall(message.keep)
            case Kill():
                self.work.kill([(jid, n) for jid, n in message.jobs])
            case Save() | Perform():
                self.saving.obey(message)
            case Dial():
                self.work.visits.dial(message)
            case Mapped():
                self.work.visits.mapped(message)
            case Neighbours():
                self.work.visits.show(message)
            case Stop():
                self.work.drain(message.seconds)

    # -- reports --------------------------------------------------------------------------------------------------

    def done(self, outcome: Outcome) -> None:
        """Hand in an outcome, with others."""
        self._unacknowledged[outcome.jid, outcome.n] = outcome
        self._outcomes.append(outcome)
        self._outcome_bytes += len(outcome.data)
        if len(self._outcomes) >= BATCH or self._outcome_bytes > BATCH_BYTES:
            self.flush()

    def printed(self, chunks: list[LogChunk]) -> None:
        """Hand in output; it arrives before outcomes that come later."""
        self._logs.extend(chunks)
        self._log_bytes += sum(len(chunk.data) for chunk in chunks)
        while self._log_bytes > LOGS_KEPT and self._line is None:
            self._log_bytes -= len(self._logs.popleft().data)

    def returned(self, leases: Iterable[Lease]) -> None:
        """Give leases back unstarted."""
        self._send(Returned([(lease.jid, lease.n, lease.lease) for lease in leases]))

    def started(self, leases: list[Lease]) -> None:
        """Tell of jobs that run longer than a moment."""
        self._send(Started([(lease.jid, lease.n, lease.lease) for lease in leases]))

    def tell(self, message: ToServer) -> None:
        """Send a message that is worth nothing later."""
        self._send(message)

    def picture(self) -> None:
        """Slots, leases or window may have changed."""
        self._changed = True

    def turn(self) -> None:
        """After each turn of the loop: hand in what has waited long enough."""
        if self._outcomes and time.monotonic() - self._flushed > BATCH_AGE:
            self.flush()

    def rest(self) -> float:
        """Before the loop waits: hand in outcomes, unless it was done a moment ago; seconds until it may be done."""
        if self._outcomes and (left := self._flushed + BATCH_AGE - time.monotonic()) > 0:
            return left
        self.flush()
        return IDLE

    def flush(self) -> None:
        """Hand in everything, now."""
        if self._line is None:
            return
        if self._outcomes:
            self._flushed = time.monotonic()
        while self._logs and self._line is not None:
            self._send_logs()
        while self._outcomes and self._line is not None:
            batch, self._outcomes = self._cut(self._outcomes)
            self._send(Done(batch))
        self._outcome_bytes = 0
        if self._changed and self._line is not None:
            self._changed = False
            credit = self.work.credit()
            if credit != self._credit:
                self._credit = credit
                self._send(credit)

    def _cut(self, outcomes: list[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
        size = 0
        for at, outcome in enumerate(outcomes):
            size += len(outcome.data)
            if at >= 2 * BATCH or size > BATCH_BYTES:
                return outcomes[: at + 1], outcomes[at + 1 :]
        return outcomes, []

    def _send_logs(self) -> None:
        size, batch = 0, []
        while self._logs and size < LOGS_BATCH:
            batch.append(self._logs.popleft())
            size += len(batch[-1].data)
        self._log_bytes -= size
        self._send(Logs(batch))

    @property
    def settled(self) -> bool:
        """Whether control has acknowledged everything."""
        return not self._unacknowledged and not self._logs

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()
            self._line = None
