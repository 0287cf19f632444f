"""The leases of a worker and the slots that work them off.

    accept -> parked (code or arguments are fetched) -> waiting -> the job socket -> a slot's job in hand -> ended

Everything here runs on the loop. The pool decides when a job goes into the socket: one for every free slot, and ahead of
that only as many as are soon done, because what lies in the socket must be taken back when something more urgent comes.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from pathlib import Path

from picloud.sandbox.base import Maker
from picloud.wire.error import CloudException
from picloud.wire.job import Cause, Failure
from picloud.wire.message import Credit, Lease, LogChunk, Outcome, Spec
from picloud.worker import death, frame, leaving
from picloud.worker.feed import Feed, Key
from picloud.worker.kit import Kit
from picloud.worker.lending import Lending
from picloud.worker.loop import Loop
from picloud.worker.order import Order
from picloud.worker.owner import Reports
from picloud.worker.quarters import ended
from picloud.worker.running import Running
from picloud.worker.slot import Slot
from picloud.worker.visits import Visits
from picloud.worker.warden import Warden
from picloud.worker.watch import Watch

log = logging.getLogger(__name__)

AHEAD = 256  # jobs in the socket beyond the free slots, at most
AHEAD_US = 20_000.0  # and no more than the slots do in this time
PLENTY, NAP = 100, 0.0004  # jobs in the socket, and seconds that the runners need for less
IN_DOUBT = 1.0  # seconds for a runner to say that it took a job, after another has died
FAILED_STARTS = 5  # slots in a row that could not be started, or whose runner died before it was ready
FEW_STARTS = 2  # the same, where the reason will not go away by itself
AGAIN = 1.0  # seconds until it is tried again


class Pool:
    """See the module."""

    def __init__(self, loop: Loop, order: Order, kit: Kit, reports: Reports, maker: Maker) -> None:
        self.loop, self.order, self.kit, self.reports, self.maker = loop, order, kit, reports, maker
        self.folder = Path(order.folder)
        self.feed, self.warden = Feed(), Warden()
        (self.folder / "results").mkdir(mode=0o700, exist_ok=True)
        self.held: dict[Key, Lease] = {}  # everything accepted that has no outcome yet
        self.slots: list[Slot] = []
        self.target = 0
        self.busy = 0
        self.stopping = False
        self._waiting: deque[Lease] = deque()
        self._awaited: deque[Lease] = deque()
        self._files: dict[Key, Path] = {}  # large arguments
        self._doomed: dict[Key, Failure] = {}  # taken by a runner, to be ended when it says so
        self._alone: Key | None = None  # a suspect in the socket: nothing follows it
        self._average: float | None = None  # microseconds of a job
        self._number = self._failed_starts = 0
        self.lending = Lending(loop, order.window, reports)
        self.visits = Visits(loop, order, self.slots, reports)
        self._watch = Watch(loop, order, self.slots, reports, self.visits.look)

    # -- leases come ----------------------------------------------------------------------------------------------

    def accept(self, specs: list[Spec], leases: list[Lease]) -> None:
        """Take over leases."""
        refused = self.kit.learn_all(specs)
        awaited = False
        for lease in leases:
            key = lease.jid, lease.n
            if key in self.held:
                continue
            self.held[key] = lease
            if refused and (why := refused.get(lease.submission)):
                self.finish(lease, Cause.environment, death.no_secret(why))
                continue
            self.kit.use(lease.submission)
            awaited = awaited or lease.awaited
            if lease.submission in self.kit.ready and not lease.blob:
                (self._awaited if lease.awaited else self._waiting).append(lease)
            else:
                self._park(lease)
        self.kit.forget(lease.submission for lease in self.held.values())
        if awaited and self.feed.lying:
            self.take_back()

    def _park(self, lease: Lease) -> None:
        def have_code(error: CloudException | None) -> None:
            if error is not None:
                self._refuse(lease, error)
            elif lease.blob:
                self.kit.fetch_arguments(lease, have_arguments)
            else:
                self._line_up(lease)

        def have_arguments(path: Path | None, error: CloudException | None) -> None:
            if path is None or error is not None:
                self._refuse(lease, error or CloudException("no arguments"))
            else:
                self._files[lease.jid, lease.n] = path
                self._line_up(lease)

        self.kit.prepare(lease.submission, have_code)

    def _line_up(self, lease: Lease) -> None:
        if (lease.jid, lease.n) in self.held:
            (self._awaited if lease.awaited else self._waiting).append(lease)

    def _refuse(self, lease: Lease, error: CloudException) -> None:
        cause, failure = death.refused(error)
        self.finish(lease, cause, failure)

    def finish(self, lease: Lease, cause: Cause, failure: Failure) -> None:
        """The outcome of a lease that no runner had."""
        if self.held.pop((lease.jid, lease.n), None) is not None:
            self._forget_files(lease)
            self.reports.done(Outcome(lease.jid, lease.n, lease.lease, cause, 0, failure=failure))

    # -- leases go into the socket --------------------------------------------------------------------------------

    def fill(self) -> None:
        """Put as many jobs into the socket as belong there now."""
        if not (self._waiting or self._awaited) or self.stopping or self._alone is not None:
            return
        lying = self.feed.lying
        ahead = self._ahead()
        if ahead > 8 and len(lying) > ahead // 2:
            return  # refilled in larger strokes
        limit = self._places() + ahead
        while len(lying) < limit:
            line = self._awaited or self._waiting
            if not line or (line[0].alone and lying):
                return
            lease = line.popleft()
            if (lease.jid, lease.n) not in self.held:
                continue
            if not self._put(lease):
                line.appendleft(lease)
                return
            if lease.alone:
                self._alone = lease.jid, lease.n
                return

    def _put(self, lease: Lease) -> bool:
        path = self._files.get((lease.jid, lease.n))
        if path is not None:
            return self.feed.put(lease, self.kit.keys[lease.submission], path.name.encode(), frame.FILE)
        return self.feed.put(lease, self.kit.keys[lease.submission], lease.data, 0)

    def _places(self) -> int:
        """Slots that could begin a job now."""
        return max(0, min(len(self.slots), self.target) - self.busy - self.feed.quits)

    def _ahead(self) -> int:
        if not self._average or self.lending.lent or len(self.slots) > self.target:
            return 0
        return min(AHEAD, int(AHEAD_US / self._average) * len(self.slots))

    def take_back(self) -> None:
        """Take everything that no runner has taken out of the socket, to the head of the line."""
        self._drain()
        self._adjust()

    def _drain(self) -> None:
        back = self.feed.drain()
        self._waiting.extendleft(reversed([lease for lease in back if not lease.awaited]))
        self._awaited.extendleft(reversed([lease for lease in back if lease.awaited]))
        if self._alone is not None and self._alone not in self.feed.lying:
            self._alone = None

    # -- what slots report ----------------------------------------------------------------------------------------

    def begun(self, slot: Slot, key: Key) -> Running | None:
        """A runner took a job."""
        lease = self.feed.taken(key)
        if lease is None:
            return None
        if key == self._alone:
            self._alone = None
        self.busy += 1
        self._watch.wake()
        spec = self.kit.specs[lease.submission]
        running = Running(lease, spec)
        if spec.options.secrets:
            running.hide(self.kit.masks[lease.submission], self.order)
        if spec.options.max_runtime_ms:
            limit = spec.options.max_runtime_ms
            running.timers = (self.loop.after(limit / 1000, lambda: slot.stop(running, death.ended(Cause.timeout, limit))),)
        if self._doomed and (why := self._doomed.pop(key, None)) is not None:
            self.loop.call(lambda: slot.stop(running, why))
        return running

    def ended(self, slot: Slot, running: Running, outcome: Outcome, large: Path | None) -> None:
        """A job is over."""
        self.busy -= 1
        if running.lent or running.lends or running.spec.options.queue:
            outcome.unpaid_us = running.unpaid_us(outcome)
        if running.lends:
            self.lending.ended(running)
        self.visits.ended(running)
        if running.mask is not None:
            running.mask.outcome(outcome)
            self.kit.forget_secrets(each.submission for each in self.held.values() if each is not running.lease)
        if self.held.pop(running.key, None) is None:
            return
        average = self._average
        self._average = outcome.runtime_us if average is None else average + (outcome.runtime_us - average) / 8
        if self._files:
            self._forget_files(running.lease)
        if large is None:
            self.reports.done(outcome)
        else:
            self.held[running.key] = running.lease
            self.kit.keep_result(large, outcome, self._kept)

    def _kept(self, outcome: Outcome) -> None:
        if self.held.pop((outcome.jid, outcome.n), None) is not None:
            self.reports.done(outcome)

    def printed(self, chunks: list[LogChunk]) -> None:
        """A job has printed."""
        self.reports.printed(chunks)

    def ready(self, slot: Slot) -> None:
        """A runner can take jobs."""
        self._failed_starts = 0
        self.visits.entered(slot)
        self.reports.picture()

    def gone(self, slot: Slot, clean: bool) -> None:
        """A runner has ended: replace it, or let the slot go."""
        self.visits.left(slot)
        if clean and not slot.leaving:
            self.feed.quits = max(0, self.feed.quits - 1)
        elif not clean:
            self._after_death(slot)
        if self.stopping or (clean and not slot.leaving) or len(self.slots) > self.target:
            self.slots.remove(slot)
            self.loop.work(slot.end, ended)
            self.reports.picture()
        elif self._failed_starts < FAILED_STARTS:
            slot.start()
        else:
            self.loop.after(1.0, lambda: self._start_again(slot))
        self._adjust()

    def failed(self, slot: Slot, error: BaseException | None) -> None:
        """A slot could not be started. Where that goes on, what waits for it is told why and goes."""
        self._failed_starts += 1
        if self.stopping or len(self.slots) > self.target:
            self.slots.remove(slot)
            self.reports.picture()
            return
        lasting = isinstance(error, CloudException) and not error.retry
        if self._failed_starts >= (FEW_STARTS if lasting else FAILED_STARTS) and not any(one.process for one in self.slots):
            self.take_back()
            line, self._waiting, self._awaited = [*self._awaited, *self._waiting], deque(), deque()
            for lease in line:
                self.finish(lease, Cause.environment, death.no_place(error))
        self.loop.after(AGAIN, lambda: self._start_again(slot))

    def _start_again(self, slot: Slot) -> None:
        if slot.process is None and not slot.starting and slot in self.slots and not self.stopping:
            slot.start()

    def _after_death(self, slot: Slot) -> None:
        if not slot.was_ready:
            self._failed_starts += 1
            log.error("a runner died before it was ready", extra={"slot": slot.number})
        self.take_back()
        suspects = {key: fed.serial for key, fed in self.feed.lying.items()}
        if suspects:
            self.loop.after(IN_DOUBT, lambda: self._settle(suspects))

    def _settle(self, suspects: dict[Key, int]) -> None:
        """Jobs that nobody says to have, a second after a runner died: it took them with it."""
        for key, serial in suspects.items():
            fed = self.feed.lying.get(key)
            if fed is not None and fed.serial == serial:
                del self.feed.lying[key]
                message = "The runner that had taken the job died before it began it"
                self.finish(fed.lease, Cause.worker_lost, Failure("worker_lost", message, "the job is tried again by itself"))

    # -- slots ----------------------------------------------------------------------------------------------------

    def resize(self, target: int) -> None:
        """Have so many slots: idle ones go at once, busy ones after their job."""
        self.target = target
        self._adjust()

    def _adjust(self) -> None:
        surplus = len(self.slots) - self.feed.quits - self.target
        if self.stopping or surplus == 0:
            return
        if surplus < 0:
            if self.feed.quits:  # some were told to leave and have not yet
                self._drain()
            for _ in range(self.target - len(self.slots) + self.feed.quits):
                self._grow()
        elif not self.lending.keeps(self._adjust):
            self._drain()
            for _ in range(len(self.slots) - self.target):
                self.feed.put_quit()
        self.reports.picture()

    def _grow(self) -> None:
        self._number += 1
        slot = Slot(self, self._number)
        self.slots.append(slot)
        slot.start()

    # -- orders of the server -------------------------------------------------------------------------------------

    def recall(self, keep: int) -> None:
        """Give back what has not started, all but ``keep`` leases."""
        self.take_back()
        line = [*self._awaited, *self._waiting]
        back = [lease for lease in line[keep:] if (lease.jid, lease.n) in self.held]
        self._awaited = deque(lease for lease in line[:keep] if lease.awaited)
        self._waiting = deque(lease for lease in line[:keep] if not lease.awaited)
        self.give_back(back)

    def give_back(self, leases: list[Lease]) -> None:
        """These did not start."""
        for lease in leases:
            del self.held[lease.jid, lease.n]
            self._forget_files(lease)
        if leases:
            self.reports.returned(leases)

    def kill(self, keys: list[Key]) -> None:
        """End these jobs, wherever they are."""
        wanted = {key for key in keys if key in self.held}
        running = {slot.job.key: slot for slot in self.slots if slot.job is not None}
        if not wanted <= running.keys():
            self.take_back()
        for key in wanted:
            slot, lease = running.get(key), self.held.get(key)
            if slot is not None and slot.job is not None:
                slot.stop(slot.job, death.ended(Cause.killed, 0))
            elif key in self.feed.lying:  # a runner has just taken it
                self._doomed[key] = death.ended(Cause.killed, 0)
            elif lease is not None:
                self.finish(lease, Cause.killed, death.ended(Cause.killed, 0))

    def credit(self) -> Credit:
        """What the server should know to size its batches."""
        ready = sum(slot.is_ready for slot in self.slots)
        return Credit(self.lending.window(len(self.slots)), len(self.slots), self.busy, self.lending.lent, ready)

    # -- jobs that wait for jobs ----------------------------------------------------------------------------------

    def waits(self, slot: Slot, running: Running, begins: bool, readers: int) -> None:
        """The job in hand waits for others: its slot is lent, and what is not awaited goes back for what is."""
        if slot.job is running and self.lending.moved(running, begins, readers):
            self.reports.flush()  # the smaller window first, or the same leases come back
            self.take_back()
            line, self._waiting = self._waiting, deque()
            self.give_back([lease for lease in line if (lease.jid, lease.n) in self.held])

    def rest(self) -> float:
        """Before the loop waits: a nap while the runners have plenty to do, so that results come in larger strokes."""
        if len(self.feed.lying) > PLENTY:
            time.sleep(NAP)
        return self.reports.rest()

    def turn(self) -> None:
        """After each turn of the loop."""
        self.fill()
        self.reports.turn()

    def _forget_files(self, lease: Lease) -> None:
        path = self._files.pop((lease.jid, lease.n), None)
        if path is not None:
            path.unlink(missing_ok=True)

    def drain(self, seconds: float) -> None:
        """Begin no further job, give back what has not started, wait so long for the rest, then end the loop."""
        if not self.stopping:
            self.recall(0)
            self.stopping = True
            leaving.wait(self, time.monotonic() + seconds)

    def end(self) -> None:
        """Kill every runner, and what is in its sandbox."""
        self.strike()
        self.maker.close()
        self.warden.close()

    def strike(self) -> None:
        """Kill what is in the sandboxes, without waiting."""
        for slot in self.slots:
            if slot.sandbox is not None:
                slot.sandbox.strike()
