"""The jobs of one local backend: their states, order and dependencies, in memory. No processes, no threads, no clock.

The rules are those of ``picloud.wire.job``: a move that is not in its table does not happen. The caller holds a lock
around every method and passes the time in (epoch milliseconds).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cloud._backend import Order
from picloud.wire.error import Conflict, NotFound
from picloud.wire.job import FIRST_FINAL, MOVES, Cause, Failure, Status, status_of
from picloud.wire.message import Finished, Outcome, Ranges


class Submission:
    """What the jobs of one call or map share."""

    __slots__ = ("order", "parent")

    def __init__(self, order: Order, parent: int | None) -> None:
        self.order, self.parent = order, parent


@dataclass(slots=True, eq=False)
class LocalJob:
    """One job and all its attempts."""

    jid: int
    submission: Submission
    args: bytes
    preview: str
    created: int
    status: Status = Status.queued
    attempts: list[dict[str, Any]] = field(default_factory=list)
    blockers: int = 0  # unfinished jobs it depends on
    dependents: list[LocalJob] = field(default_factory=list)
    awaited: bool = False  # a running job waits for it
    due: int = 0  # epoch ms of the next attempt, while waiting for that
    started: int | None = None
    finished: int | None = None
    outcome: Outcome | None = None
    failure: Failure | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    profile: str = ""

    def final(self) -> bool:
        """True once the state cannot change any more."""
        return self.status >= FIRST_FINAL

    def ended(self, payload: bool) -> Finished:
        """What watchers are told."""
        data = self.outcome.data if payload and self.outcome and self.status is Status.done else None
        return Finished(self.jid, int(self.status), data, failure=self.failure)


class Ledger:
    """All jobs of one backend, by jid; the ready ones also in a heap (awaited first, then priority, then jid)."""

    def __init__(self) -> None:
        self.jobs: dict[int, LocalJob] = {}
        self._next = 1
        self._ready: list[tuple[bool, int, int]] = []
        self._due: list[tuple[int, int]] = []

    def reserve(self, count: int) -> int:
        """First of ``count`` consecutive new jids."""
        first, self._next = self._next, self._next + count
        return first

    def add(self, jid: int, submission: Submission, args: bytes, preview: str, now: int) -> LocalJob:
        """Accept one job; it comes back final (stalled) where a job it depends on has failed already."""
        job = LocalJob(jid, submission, args, preview, now)
        options = submission.order.options
        failed = None
        for other in self.of(options.depends_on) if options.depends_on else ():
            if not other.final():
                other.dependents.append(job)
                job.blockers += 1
            elif other.status is not Status.done and not options.ignore_dependency_errors:
                failed = failed or other
        self.jobs[jid] = job
        if failed:
            job.status = Status.waiting
            self._stall(job, failed, now)
        elif job.blockers:
            job.status = Status.waiting
        else:
            self._offer(job)
        return job

    def get(self, jid: int) -> LocalJob:
        """The job of that number; NotFound when there is none (any more)."""
        try:
            return self.jobs[jid]
        except KeyError:
            raise NotFound(
                f"there is no job {jid} on this machine",
                jid=jid,
                hint="jids of cloud.mp and of the simulator live as long as the process that made them",
            ) from None

    def of(self, jids: Ranges) -> Iterator[LocalJob]:
        """The jobs of these ranges, in order."""
        for first, count in jids:
            for jid in range(first, first + count):
                yield self.get(jid)

    def take(self) -> LocalJob | None:
        """The next job to run, now processing; None when nothing is ready."""
        while self._ready:
            _, _, jid = heapq.heappop(self._ready)
            job = self.jobs.get(jid)
            if job is not None and self._move(job, Status.processing):
                return job
        return None

    def ready(self, limit: int) -> int:
        """How many jobs could start now, counted up to ``limit``."""
        while self._ready and not self._is_queued(self._ready[0][2]):
            heapq.heappop(self._ready)
        return min(limit, len(self._ready))

    def wait_for(self, jids: Ranges) -> None:
        """A running job waits for these: they, and what they depend on, go before all others."""
        for job in self.of(jids):
            if not job.awaited and not job.final():
                job.awaited = True
                if job.status is Status.queued:
                    self._offer(job)
                elif job.blockers:
                    self.wait_for(job.submission.order.options.depends_on)

    def finish(self, job: LocalJob, outcome: Outcome, now: int) -> list[LocalJob]:
        """Close an attempt; all jobs that became final by it (the job's dependents may stall with it)."""
        options = job.submission.order.options
        if outcome.cause and outcome.retry and len(job.attempts) <= options.retries:
            if self._move(job, Status.waiting):
                job.due = now + options.retry_delay_ms
                heapq.heappush(self._due, (job.due, job.jid))
            return []
        if not self._move(job, status_of(Cause(outcome.cause))):
            return []
        job.outcome, job.failure = outcome, outcome.failure
        return self._close(job, now)

    def kill(self, job: LocalJob, failure: Failure, now: int) -> list[LocalJob]:
        """End an unfinished job; all jobs that became final by it."""
        if not self._move(job, Status.killed):
            return []
        job.failure = failure
        return self._close(job, now)

    def wake(self, now: int) -> int | None:
        """Queue the jobs whose retry is due; epoch ms of the next such moment."""
        while self._due and self._due[0][0] <= now:
            job = self.jobs.get(heapq.heappop(self._due)[1])
            if job is not None and job.status is Status.waiting and self._move(job, Status.queued):
                self._offer(job)
        return self._due[0][0] if self._due else None

    def delete(self, jids: Ranges) -> int:
        """Forget finished jobs: all of the ranges or, when one is unfinished or unknown, none."""
        doomed = list(self.of(jids))
        for job in doomed:
            if not job.final():
                raise Conflict(
                    f"job {job.jid} is {job.status.name}",
                    jid=job.jid,
                    status=job.status.name,
                    hint="join or kill it before you delete it",
                )
        for job in doomed:
            del self.jobs[job.jid]
        return len(doomed)

    def _move(self, job: LocalJob, to: Status) -> bool:
        if to not in MOVES[job.status]:
            return False
        job.status = to
        return True

    def _offer(self, job: LocalJob) -> None:
        heapq.heappush(self._ready, (not job.awaited, job.submission.order.options.priority, job.jid))

    def _is_queued(self, jid: int) -> bool:
        job = self.jobs.get(jid)
        return job is not None and job.status is Status.queued

    def _close(self, job: LocalJob, now: int) -> list[LocalJob]:
        closed, at = [job], 0
        job.finished = now
        while at < len(closed):  # a loop, not recursion: chains of dependencies may be long
            cause, at = closed[at], at + 1
            dependents, cause.dependents = cause.dependents, []
            for other in dependents:
                other.blockers -= 1
                if cause.status is not Status.done and not other.submission.order.options.ignore_dependency_errors:
                    if other.status is Status.waiting:
                        self._stall(other, cause, now)
                        closed.append(other)
                elif other.blockers == 0 and self._move(other, Status.queued):
                    self._offer(other)
        return closed

    def _stall(self, job: LocalJob, because: LocalJob, now: int) -> None:
        if self._move(job, Status.stalled):
            job.finished = now
            job.failure = Failure(
                cause="dependency",
                message=f"job {because.jid}, which it depends on, ended as {because.status.name}",
                advice=f"see cloud.info({because.jid}), or submit with _depends_on_errors='ignore'",
            )
