"""The backend that runs jobs on processes of this machine, with everything in memory: no server, no files.

``cloud.mp`` and the simulator each own one. The jobs live as long as the process that made them; the worker processes
start at the first job and end with it.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from cloud._backend import Order, Packed, Patience
from cloud._jids import refuse_itself, shown, spelled
from cloud._local_door import Door
from cloud._local_info import describe_job, listed
from cloud._local_jobs import Ledger, LocalJob, Submission
from cloud._local_pool import Pool
from cloud._local_process import LocalProcess
from cloud._local_watch import Watcher
from picloud.wire.job import Failure, Status
from picloud.wire.message import Finished, Ranges

CHUNK = 256
"""Jobs of a map that enter together."""


class LocalBackend:
    """Jobs on worker processes of this machine (a ``cloud._backend.Backend``).

    Args:
        num_procs: how many compute at a time; 0 = one for each core.
        simulator: the jobs' own ``cloud.*`` acts here too, not only their ``cloud.mp``.
    """

    simulated = True

    def __init__(self, num_procs: int = 8, simulator: bool = False) -> None:
        self.num_procs, self.simulator = num_procs or os.cpu_count() or 1, simulator
        self._lock = threading.RLock()
        self._ledger = Ledger()
        self._watchers: set[Watcher] = set()
        self._pool: Pool | None = None
        self._door: Door | None = None

    # -- the contract -------------------------------------------------------------------------------------------------

    def submit(self, order: Order, jobs: Iterable[Packed], parent: int | None = None) -> Ranges:
        """See ``cloud._backend.Backend.submit``; ``parent`` is the job that asks, if one does."""
        with self._lock:
            for _ in self._ledger.of(order.options.depends_on):
                pass  # an unknown jid raises before anything is stored
            first = self._ledger.reserve(order.count) if order.count else 0
        ranges: Ranges = []
        try:
            self._fill(Submission(order, parent), first, jobs, ranges)
        except BaseException as error:
            if ranges:
                module = "cloud" if self.simulator else "cloud.mp"
                jids = spelled(ranges)
                error.add_note(f"jobs {shown(ranges)} were accepted and run on. {module}.result({jids}) waits for them, "
                               f"{module}.kill({jids}) ends them")  # fmt: skip
            raise
        return ranges

    def _fill(self, submission: Submission, first: int, jobs: Iterable[Packed], ranges: Ranges) -> None:
        """Take in one job per item; ``ranges`` grows with what was accepted. ``first``: the reserved jid, 0 = none."""
        order, made = submission.order, 0
        items = iter(jobs) if order.count is None else islice(jobs, order.count)
        # One at first, so that it runs while the rest is made.
        while chunk := list(islice(items, 1 if made == 0 else CHUNK)):
            with self._lock:
                at = first + made if first else self._ledger.reserve(len(chunk))
                self._accept(submission, at, chunk)
            made += len(chunk)
            _extend(ranges, at, len(chunk))
        if order.count is not None and made < order.count:
            raise ValueError(f"map: the iterable said {order.count} items and gave {made}")

    def statuses(self, jids: Ranges) -> bytes:
        """See ``cloud._backend.Backend.statuses``."""
        with self._lock:
            return bytes(job.status for job in self._ledger.of(jids))

    def finished(self, jids: Ranges, *, payload: bool = True, patience: Patience = lambda: None) -> Iterator[Finished]:
        """See ``cloud._backend.Backend.finished``."""
        with self.watch(jids) as watcher:
            while (job := watcher.wait(patience)) is not None:
                yield job.ended(payload)

    @contextmanager
    def watch(self, jids: Ranges, waiting: int | None = None) -> Iterator[Watcher]:
        """Watch these jobs; ``waiting`` is the number of the process whose job waits for them, if one does."""
        with self._lock:
            waiter = self.job_of(waiting) if waiting is not None else None
            refuse_itself(waiter or 0, jids)
            watcher = Watcher(self._lock, self._ledger.of(jids))
            self._watchers.add(watcher)
            if waiter is not None:
                self._ledger.wait_for(jids)
                self._lend(waiter, 1)
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers.discard(watcher)
                if waiter is not None:
                    self._lend(waiter, -1)

    def info(self, jids: Ranges, fields: list[str]) -> dict[int, dict[str, Any]]:
        """See ``cloud._backend.Backend.info``."""
        with self._lock:
            return {job.jid: describe_job(job, fields, self._output(job)) for job in self._ledger.of(jids)}

    def payload(self, jid: int, part: str) -> bytes:
        """See ``cloud._backend.Backend.payload``."""
        with self._lock:
            job = self._ledger.get(jid)
        if part == "function":
            return job.submission.order.function.data
        if part == "args":
            return job.args
        return job.outcome.data if job.outcome else b""

    def kill(self, jids: Ranges | None) -> int:
        """See ``cloud._backend.Backend.kill``."""
        failure = Failure(cause="killed", message="it was killed by its owner")
        now = time.time_ns() // 1_000_000
        with self._lock:
            jobs = list(self._ledger.of(jids) if jids is not None else self._ledger.jobs.values())
            count = 0
            for job in jobs:
                if closed := self._ledger.kill(job, failure, now):
                    count += 1
                    self._tell(closed)
        self._wake()
        return count

    def delete(self, jids: Ranges) -> int:
        """See ``cloud._backend.Backend.delete``."""
        with self._lock:
            return self._ledger.delete(jids)

    def rerun(self, jids: Ranges, failed: bool) -> Ranges:
        """See ``cloud._backend.Backend.rerun``."""
        made: Ranges = []
        with self._lock:
            for job in list(self._ledger.of(jids)):
                if not failed or (job.final() and job.status is not Status.done):
                    at = self._ledger.reserve(1)
                    self._accept(job.submission, at, [Packed([job.args], job.preview)])
                    _extend(made, at, 1)
        return made

    def listing(
        self, state: str | None, label: str | None, func: str | None, since: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """See ``cloud._backend.Backend.listing``."""
        with self._lock:
            jobs = list(reversed(self._ledger.jobs.values()))
        return list(islice((row for job in jobs if (row := listed(job, state, label, func, since))), limit))

    def connection_info(self) -> dict[str, Any]:
        """See ``cloud._backend.Backend.connection_info``."""
        return {
            "opened": self._pool is not None,
            "num_procs": self.num_procs,
            "connection_type": "simulation" if self.simulator else "multiprocessing",
        }

    def close(self) -> bool:
        """End the processes; unfinished jobs end as killed, finished ones stay."""
        self.kill(None)
        with self._lock:
            pool, self._pool, door, self._door = self._pool, None, self._door, None
        if pool is None or door is None:
            return False
        pool.stop()
        door.close()
        return True

    # -- inside -------------------------------------------------------------------------------------------------------

    def _accept(self, submission: Submission, first: int, chunk: list[Packed]) -> None:
        now = time.time_ns() // 1_000_000
        for jid, packed in enumerate(chunk, first):
            job = self._ledger.add(jid, submission, b"".join(packed.parts), packed.preview, now)
            if job.final():
                self._tell([job])
        self._open().wake()

    def _open(self) -> Pool:
        """The running pool; call it under the lock."""
        if self._pool is None:
            self._door = Door(self)
            path = self._door.path

            def spawn(number: int) -> LocalProcess:
                return LocalProcess(number, path, self.simulator)

            self._pool = Pool(self._ledger, self._lock, spawn, self._tell, self.num_procs)
        return self._pool

    def _tell(self, closed: list[LocalJob]) -> None:
        for job in closed:
            for watcher in self._watchers:
                watcher.tell(job)

    def _lend(self, jid: int, change: int) -> None:
        process = self._pool.running(jid) if self._pool else None
        if process is not None:
            process.waits += change
        self._wake()

    def _wake(self) -> None:
        pool = self._pool
        if pool is not None:
            pool.wake()

    def _output(self, job: LocalJob) -> tuple[bytes, bytes]:
        process = self._pool.running(job.jid) if self._pool else None
        return process.output(clear=False) if process else (job.stdout, job.stderr)

    def job_of(self, number: int) -> int | None:
        """The jid that the process of this number runs."""
        with self._lock:
            process = self._pool.processes.get(number) if self._pool else None
            return process.job.jid if process and process.job else None


def _extend(ranges: list[tuple[int, int]], first: int, count: int) -> None:
    if ranges and sum(ranges[-1]) == first:
        ranges[-1] = (ranges[-1][0], ranges[-1][1] + count)
    else:
        ranges.append((first, count))


class Shared:
    """The one backend of this process for one purpose, made when first asked for.

    A fork of this process gets one of its own: threads and processes of the parent do not work for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._backend: LocalBackend | None = None
        os.register_at_fork(after_in_child=self._forget)

    def get(self, make: Callable[[], LocalBackend]) -> LocalBackend:
        """The backend, made now if there is none."""
        with self._lock:
            if self._backend is None:
                self._backend = make()
                atexit.register(self._backend.close)
            return self._backend

    def drop(self) -> bool:
        """Close and forget it, with all its jobs; True if there was one."""
        with self._lock:
            backend, self._backend = self._backend, None
        if backend is not None:
            atexit.unregister(backend.close)
            backend.close()
        return backend is not None

    def _forget(self) -> None:
        if self._backend is not None:
            atexit.unregister(self._backend.close)
        self._lock, self._backend = threading.Lock(), None
