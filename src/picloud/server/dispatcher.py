"""From ready jobs to leases in workers' hands, and from outcomes back to the store.

Two paths. The hot one never asks the scheduler: an idle or half-empty worker takes more leases of its kind, in the same
group of commits as whatever made room (an acceptance, a finish). The slow one is a *turn*: look at all ready kinds, let
the scheduler set how many slots each has, start and shrink workers. Turns are asked for by :meth:`Dispatcher.wake` and
come once a second anyway.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container, Coroutine, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from picloud.server import scheduler
from picloud.server.fleet import Fleet, Worker
from picloud.server.hub import Follower, Hub, Watcher
from picloud.server.lanes import Lanes
from picloud.server.metrics import Metrics
from picloud.server.placement import Placer
from picloud.server.storage import Storage, now_ms
from picloud.server.throughput import Throughput
from picloud.server.waits import Wait, Waits
from picloud.settings import Settings
from picloud.store import job as jobs
from picloud.store.act import finish, lease
from picloud.store.act.answer import Finish
from picloud.store.db import Transaction, lasts
from picloud.wire.error import NotFound, Unavailable
from picloud.wire.message import Done, Finished, Kill, Lease, Leases, Outcome, Spec, Submitted

log = logging.getLogger("picloud.dispatcher")
T = TypeVar("T")
Taken = tuple[list[Lease], list[Spec]]
SpecOf = Callable[[int], Spec | None]
"""The spec of a submission, if it is at hand."""

SWEEP = 1.0
"""Seconds between turns that nobody asked for."""
PAUSE = 0.003
"""Seconds that a turn waits for further reasons to turn."""
MANY = 1 << 60
FEW = 8
"""Jobs of an act that is small enough for the event loop's own thread."""
AGAIN = 1.0
"""Seconds until outcomes that could not be written are tried again."""


class Accepted(NamedTuple, Generic[T]):
    """What an accepting act answered, and what was leased of it in the same transaction."""

    answer: T
    ready: set[int]
    taken: dict[int, tuple[Worker, Taken]]
    waits: bool  # for the disk: a job among the leased ones must never run twice


class Dispatcher:
    """The loop between store and workers."""

    def __init__(self, storage: Storage, fleet: Fleet, hub: Hub, placer: Placer, settings: Settings) -> None:
        self._storage, self._fleet, self._hub, self._placer, self._settings = storage, fleet, hub, placer, settings
        self._asked = asyncio.Event()
        self._waits = Waits()
        self.lanes = Lanes()  # kept by control's realtime
        self._backlog: set[int] = set()  # kinds that had more ready jobs than were taken
        self._tasks: set[asyncio.Task[None]] = set()
        self.draining = self.held = False  # held: jobs wait for the operator, see store.hold
        self.stopped: Container[int] = frozenset()  # accounts that begin no further work; set by control
        self.billed: Callable[[int], None] = lambda account: None  # told whose work ended; set by control
        self.relieve: Callable[[], bool] = lambda: False  # has a job end that waits for messages; set by control
        self.specs: Callable[[Transaction, list[int]], list[Spec]] = lease.specs  # set by control, which fills in secrets
        self.ended: Callable[[list[Finished]], None] = lambda finished: None  # set by control
        self.throughput = Throughput(storage, now_ms())
        self.metrics = Metrics()  # of control
        self.arrived: Callable[[list[str]], Awaitable[None]]  # marks blobs whose bytes are on disk; set by control

    # -- the hot path -------------------------------------------------------------------------------------------

    async def accept(
        self,
        act: Callable[[Transaction], tuple[T, set[int]]],
        account: int,
        count: int = MANY,
        spec: SpecOf | None = None,
        follower: Follower | None = None,
    ) -> T:
        """Run an accepting act; returns its answer when that is on disk.

        Idle workers of the account lease from it in the same transaction, and begin before it is on disk: a power cut
        would take the job and its lease back together.

        Args:
            count: how many jobs are accepted, at most.
            spec: makes the spec of a submission that is accepted here, which spares a query.
            follower: to be told of the end of a single job.
        """
        idle: dict[int, Worker] = {}
        for each in self._fleet:
            if each.kind.account == account and self._idle(each):
                idle.setdefault(each.kind.id, each)
        wants = {kind: worker.slots - len(worker.held) for kind, worker in idle.items()}
        for worker in idle.values():
            worker.leasing = True
        leasing = dict(idle)

        def both(tx: Transaction) -> Accepted[T]:
            answer, ready = act(tx)
            taken = {k: (w, self._take(tx, w, wants[k], spec)) for k, w in leasing.items() if k in ready}
            return Accepted(answer, ready, taken, lasts(tx))

        def committed(found: Accepted[T]) -> None:
            if not found.waits:
                self._release(idle)
                self._accepted(account, found, follower)

        try:
            found = await self._storage.write_early(both, committed, few="accept" if count <= FEW else "")
        finally:
            self._release(idle)
        if found.waits:
            self._accepted(account, found, follower)
        return found.answer

    def _release(self, idle: dict[int, Worker]) -> None:
        while idle:
            idle.popitem()[1].leasing = False

    def _accepted(self, account: int, found: Accepted[Any], follower: Follower | None) -> None:
        """Jobs were accepted, and some of them leased: hand those out, see to the rest."""
        answer, ready, taken, _ = found
        self.throughput.accepted(account, answer, ready)
        self.metrics.accepted(answer)
        count = answer.accepted if isinstance(answer, Submitted) else MANY
        if ready and isinstance(answer, Submitted):
            self._hub.expect(account, answer.first, count)
            if follower is not None and count == 1:
                self._hub.follow(follower, answer.first)
                answer.followed = True
        for worker, (leases, specs) in taken.values():
            self._deliver(worker, leases, specs)
        self.more(kind for kind in ready if kind not in taken or len(taken[kind][1][0]) < count)

    def done(self, worker: Worker, message: Done) -> None:
        """Outcomes arrived: finish them, tell who waits, and fill the worker up again.

        One finishing act a worker is under way at a time; what arrives meanwhile makes the next one, so acts grow with load.
        """
        for outcome in message.outcomes:
            worker.held.pop(outcome.jid, None)
        worker.learn([o.runtime_us for o in message.outcomes])
        blobs = [outcome.blob for outcome in message.outcomes if outcome.blob]
        if blobs:
            self._later(self._after_arrival(worker, message.outcomes, blobs))
        else:
            self._queue(worker, message.outcomes)
        self.refill(worker)

    async def _after_arrival(self, worker: Worker, outcomes: list[Outcome], blobs: list[str]) -> None:
        while True:
            try:
                await self.arrived(blobs)
                break
            except NotFound as error:
                log.error("%s", error)  # the finishing act tells the job that its result never arrived
                break
            except Unavailable as error:
                log.error("the blob store does not tell whether results arrived: %s; asking again", error)
                await asyncio.sleep(AGAIN)
        self._queue(worker, outcomes)

    def _queue(self, worker: Worker, outcomes: list[Outcome]) -> None:
        worker.outcomes += outcomes
        if not worker.finishing:
            self._finish(worker)

    def _later(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _finish(self, worker: Worker) -> None:
        outcomes, worker.outcomes = worker.outcomes, []
        self.billed(worker.kind.account)
        worker.finishing = True

        def settled(result: Finish) -> None:
            worker.finishing = False
            worker.acknowledge([(o.jid, o.n) for o in outcomes])
            if worker.outcomes:
                self._finish(worker)
            self.settle(result, worker.kind.account)

        def failed(error: BaseException) -> None:
            log.error("finishing %d outcomes failed: %r; the worker keeps them", len(outcomes), error)
            if isinstance(error, Unavailable):  # a full disk, a database that restarts: it passes
                worker.outcomes = outcomes + worker.outcomes
                asyncio.get_running_loop().call_later(AGAIN, self._finish, worker)
            else:
                worker.finishing = False

        self._storage.then(lambda tx: self._end(tx, worker, outcomes), settled, failed, few="finish" * (len(outcomes) <= FEW))

    @staticmethod
    def _end(tx: Transaction, worker: Worker, outcomes: list[Outcome]) -> Finish:
        return finish.finish(tx, worker.id, outcomes, now_ms())

    def settle(self, result: Finish, account: int = 0) -> None:
        """After a commit that finished jobs (of the account; 0 = of several): publish, forget who was awaited, look at what
        became ready."""
        if account:
            self.throughput.ended(account, result)
        self.metrics.ended(result.moved)
        self.ended(result.moved)
        self._hub.publish(result.moved)
        self._hub.recheck(result.closed)
        self._waits.ended(result.moved)
        self.more(result.ready_kinds)

    def more(self, kinds: Iterable[int]) -> None:
        """Jobs of these kinds became ready."""
        for kind in kinds:
            self._backlog.add(kind)
            workers = self._fleet.of_kind(kind)
            if not workers or any(not each.connected or each.slots < each.kind.full for each in workers):
                self.wake()
            for each in workers:
                self.refill(each)

    def refill(self, worker: Worker) -> None:
        """Lease more to a worker that has room, if its kind is known to have more."""
        shut = self.draining or worker.kind.account in self.stopped or (worker.reserved and not worker.target)
        if shut or worker.leasing or not worker.connected or worker.kind.id not in self._backlog:
            return
        want = scheduler.batch(
            worker.room(),
            len(worker.held) - worker.lent,
            min(worker.slots - worker.lent, worker.target),
            worker.runtime_us,
            self._settings.lease_ms,
        )
        if want <= 0:
            return
        worker.leasing = True

        def taken(result: Taken) -> None:
            worker.leasing = False
            if len(result[0]) < want:
                self._backlog.discard(worker.kind.id)
            self._deliver(worker, *result)
            if len(result[0]) == want:
                self.refill(worker)

        def failed(error: BaseException) -> None:
            worker.leasing = False
            log.error("leasing to %s failed: %r", worker.incarnation, error)

        self._storage.then(lambda tx: self._take(tx, worker, want), taken, failed, durable=False)

    def _take(self, tx: Transaction, worker: Worker, want: int, spec: SpecOf | None = None) -> Taken:
        leases = lease.take(tx, worker.id, worker.kind.id, want, self._waits.first(), now_ms(), worker.price)
        missing = worker.lacks(item.submission for item in leases)
        if spec is not None and len(missing) == 1 and (known := spec(missing[0])) is not None:
            return leases, [known]
        return leases, self.specs(tx, missing) if missing else []

    def _deliver(self, worker: Worker, leases: list[Lease], specs: list[Spec]) -> None:
        if not leases or not worker.connected:
            return  # away: its next hello gives them back
        for item in leases:
            worker.held[item.jid] = (item.n, item.lease)
            if item.jid in self._waits.jids:
                item.awaited = True
        for spec in specs:
            spec.memory_limit = worker.kind.memory
        self.metrics.leased(leases)
        worker.argument_bytes = sum(len(item.data) for item in leases) // len(leases)
        worker.used(dict.fromkeys(item.submission for item in leases), specs)
        worker.send(Leases(specs, leases))

    def _idle(self, worker: Worker) -> bool:
        return (
            worker.connected
            and not worker.leasing
            and not self.draining
            and worker.window > 0
            and len(worker.held) < min(worker.slots, worker.target)
            and worker.kind.account not in self.stopped
        )

    # -- jobs that wait for jobs --------------------------------------------------------------------------------

    def begin_wait(self, worker: Worker, attempt: tuple[int, int], watcher: Watcher) -> Wait:
        """A running job waits for what its watcher has not seen: it goes before everything else of the account."""
        wait = self._waits.begin(worker, attempt[0], watcher)
        self.wake()
        self.refill(worker)
        return wait

    def end_wait(self, wait: Wait) -> None:
        self._waits.end(wait)

    # -- killing ------------------------------------------------------------------------------------------------

    def kill(self, result: Finish, running: Iterable[tuple[int, int, int]], account: int = 0) -> None:
        """After a killing act (of the account): tell watchers, and the workers that run these attempts (worker id, jid, n)."""
        by_worker: dict[int, list[tuple[int, int]]] = {}
        for worker_id, jid, n in running:
            by_worker.setdefault(worker_id, []).append((jid, n))
        for worker_id, attempts in by_worker.items():
            worker = self._fleet.of_id(worker_id)
            if worker is not None:
                for jid, _ in attempts:
                    worker.held.pop(jid, None)
                worker.send(Kill(attempts))
        self.settle(result, account)

    # -- turns --------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Ask for a turn."""
        self._asked.set()

    async def run(self) -> None:
        """Turn until cancelled."""
        while True:
            try:
                async with asyncio.timeout(SWEEP):
                    await self._asked.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(PAUSE)
            self._asked.clear()
            try:
                await self._turn()
            except Exception:
                log.exception("a dispatcher turn failed; the next one tries again")

    async def _turn(self) -> None:
        if self.draining or self.held:
            return
        ready = [item for item in await self._storage.read(jobs.ready) if item.account not in self.stopped]
        self._backlog.update(item.kind for item in ready)
        for item in ready:
            await self._placer.know(item)
        awaited = await self._storage.read(jobs.kinds_of, self._waits.first()) if self._waits.jids else set()
        host = self._placer.host()
        for pool in self.lanes.pools(ready, awaited, self._fleet, host, self._placer.units):
            for kind, target in pool.targets(self._placer.weights).items():
                await self._placer.adjust(kind, target, pool.views[kind], reserved=pool.reserved)
                self._waits.break_deadlock(pool.views[kind], target, pool.host, self.relieve)
        for worker in self._fleet:
            self.refill(worker)
