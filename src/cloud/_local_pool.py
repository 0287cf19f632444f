"""The scheduler thread of a local backend: gives ready jobs to worker processes and takes what comes back.

One thread, one loop: assign, wait for something to happen (a process speaks or ends, a deadline, a wake-up), act on
it. All state that others see too is in the ledger, under the one lock. Processes start when work waits for them, at
most ``num_procs`` of them busy; a process whose job waits for other jobs does not count, so jobs inside jobs cannot
block each other.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any

from cloud._local_jobs import Ledger, LocalJob
from cloud._local_process import LocalProcess
from cloud._local_runner import Ended
from picloud.wire.job import Cause, Failure
from picloud.wire.message import Outcome

SPARE = 60.0
"""Seconds that a process beyond the first may be idle."""


class Pool:
    """The processes of one backend.

    Args:
        ledger, lock: the jobs, and what guards them.
        spawn: makes a process of that number.
        closed: told, under the lock, which jobs became final.
        num_procs: how many processes may compute at a time.
    """

    def __init__(
        self,
        ledger: Ledger,
        lock: threading.RLock,
        spawn: Callable[[int], LocalProcess],
        closed: Callable[[list[LocalJob]], None],
        num_procs: int,
    ) -> None:
        self._ledger, self._lock, self._spawn, self._closed = ledger, lock, spawn, closed
        self.num_procs = num_procs
        self.processes: dict[int, LocalProcess] = {}
        self._idle: list[LocalProcess] = []
        self._idle_since: dict[int, float] = {}
        self._numbers = 0
        self._events = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._events.register(self._wake_read, selectors.EVENT_READ, None)
        self._awake = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="cloud-local", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something changed in the ledger."""
        if not self._awake:  # one byte is enough until the thread has read it
            self._awake = True
            try:
                os.write(self._wake_write, b"!")
            except BlockingIOError:
                return  # the pipe is full: it wakes anyhow

    def stop(self) -> None:
        """End all processes and the thread."""
        self._stopping = True
        self._awake = False
        self.wake()
        self._thread.join()

    def running(self, jid: int) -> LocalProcess | None:
        """The process that runs this job; call it under the lock."""
        return next((p for p in self.processes.values() if p.job is not None and p.job.jid == jid), None)

    def _run(self) -> None:
        try:
            while not self._stopping:
                with self._lock:
                    timeout = self._assign()
                for key, _ in self._events.select(timeout):
                    if key.data is None:
                        self._drain()
                    else:
                        self._heard(key.data)
                self._expire()
        finally:
            with self._lock:
                for process in [*self.processes.values()]:
                    self._drop(process)
            self._events.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        # Only now: a wake-up before this line finds the mark set and writes nothing, but what it tells of is seen by
        # the look at the ledger that follows. The other way round its byte could be read while its mark stayed.
        self._awake = False

    # -- giving out ---------------------------------------------------------------------------------------------------

    def _assign(self) -> float | None:
        """Give ready jobs to idle processes, start more where that lacks; seconds until the next deadline."""
        now = _now()
        due = self._ledger.wake(now)
        while self._idle and self._may_work() and (job := self._ledger.take()) is not None:
            self._start(self._idle.pop(), job)
        self._grow()
        deadlines = [p.deadline - time.monotonic() for p in self.processes.values() if p.deadline is not None]
        if due is not None:
            deadlines.append((due - now) / 1000)
        if len(self.processes) > 1 and self._idle:
            deadlines.append(min(self._idle_since.values(), default=time.monotonic()) + SPARE - time.monotonic())
        return max(0.0, min(deadlines) + 0.001) if deadlines else None

    def _may_work(self) -> bool:
        return sum(1 for p in self.processes.values() if p.job is not None and not p.waits) < self.num_procs

    def _grow(self) -> None:
        starting = sum(1 for p in self.processes.values() if not p.ready)
        working = sum(1 for p in self.processes.values() if p.job is not None and not p.waits)
        room = self.num_procs - working - starting - len(self._idle)
        at_once = (os.cpu_count() or 1) - starting  # more starting together only delay each other
        for _ in range(min(room, at_once, self._ledger.ready(self.num_procs) - starting - len(self._idle))):
            self._numbers += 1
            process = self._spawn(self._numbers)
            self.processes[process.number] = process
            self._events.register(process.link, selectors.EVENT_READ, process)
            if process.pidfd is not None:
                self._events.register(process.pidfd, selectors.EVENT_READ, process)

    def _start(self, process: LocalProcess, job: LocalJob) -> None:
        self._idle_since.pop(process.number, None)
        job.started = job.started or _now()
        job.attempts.append(
            {
                "n": len(job.attempts) + 1,
                "worker": f"local process {process.popen.pid}",
                "started": _now(),
                "cause": None,
                "ended": None,
            }
        )
        try:
            process.start(job)
        except OSError:
            return  # it has just ended: its pidfd or socket says so next

    # -- taking back --------------------------------------------------------------------------------------------------

    def _heard(self, process: LocalProcess) -> None:
        if process.number not in self.processes:
            return  # a second event of a process that was dropped in this round
        gone = process.gone()  # asked before reading, so that nothing it said is missed
        said = process.read()
        with self._lock:
            for ended in said:
                self._take(process, ended)
            if gone:
                self._lost(process)

    def _take(self, process: LocalProcess, ended: Ended) -> None:
        process.ready = True
        job, outcome = process.job, ended.outcome
        if job is not None and outcome is not None:
            job.profile = ended.profile
            self._finish(process, job, outcome)
            if job.submission.order.options.kill_process:
                self._drop(process)
        if process.number in self.processes:
            process.job, process.deadline, process.waits = None, None, 0
            self._idle_since[process.number] = time.monotonic()
            self._idle.append(process)

    def _lost(self, process: LocalProcess) -> None:
        job = process.job
        if job is not None:
            self._finish(process, job, process.died(len(job.attempts)))
        elif not process.ready:
            self._unstartable(process)
        self._drop(process)

    def _unstartable(self, process: LocalProcess) -> None:
        """Processes that end before their first word would be replaced for ever: fail the job they were meant for."""
        job = self._ledger.take()
        if job is None:
            return
        said = process.output(clear=False)[1].decode(errors="replace")
        failure = Failure(
            cause="environment",
            message="a worker process of this machine ended while it started",
            exit_code=process.popen.returncode,
            log_tail=said[-4000:],
            advice="see log_tail: what 'import cloud' printed in a fresh interpreter",
        )
        self._closed(self._ledger.finish(job, Outcome(job.jid, 1, b"", Cause.environment, 0, failure=failure), _now()))

    def _finish(self, process: LocalProcess, job: LocalJob, outcome: Outcome) -> None:
        job.stdout, job.stderr = process.output(clear=True)
        if outcome.failure is not None and not outcome.failure.log_tail:
            outcome.failure.log_tail = (job.stderr or job.stdout)[-4000:].decode(errors="replace")
        if job.attempts:
            job.attempts[-1] |= _told(outcome)
        self._closed(self._ledger.finish(job, outcome, _now()))

    def _drop(self, process: LocalProcess) -> None:
        self.processes.pop(process.number, None)
        self._idle_since.pop(process.number, None)
        if process in self._idle:
            self._idle.remove(process)
        self._events.unregister(process.link)
        if process.pidfd is not None:
            self._events.unregister(process.pidfd)
        process.close()

    # -- ending -------------------------------------------------------------------------------------------------------

    def _expire(self) -> None:
        """End the processes of jobs that were killed or ran too long, and those that have been idle for long."""
        now = time.monotonic()
        with self._lock:
            for process in [*self.processes.values()]:
                job = process.job
                if job is not None and job.final():
                    job.stdout, job.stderr = process.output(clear=True)
                    cause, message = (job.failure.cause, job.failure.message) if job.failure else (None, None)
                    job.attempts[-1] |= {"cause": cause, "message": message, "ended": _now()}
                    self._drop(process)
                elif job is not None and process.deadline is not None and now >= process.deadline:
                    self._timeout(process, job)
                elif process in self._idle and self._spare(process, now):
                    self._drop(process)

    def _spare(self, process: LocalProcess, now: float) -> bool:
        old = now - self._idle_since.get(process.number, now) > SPARE
        return (old and len(self.processes) > 1) or len(self._idle) > self.num_procs

    def _timeout(self, process: LocalProcess, job: LocalJob) -> None:
        limit = job.submission.order.options.max_runtime_ms / 1000
        failure = Failure(
            cause="timeout",
            message=f"it ran longer than its limit of {limit:g} s (_max_runtime)",
            advice="raise _max_runtime (minutes), or find what it waits for in its output",
        )
        self._finish(process, job, Outcome(job.jid, len(job.attempts), b"", Cause.timeout, int(limit * 1e6), failure=failure))
        self._drop(process)


def _told(outcome: Outcome) -> dict[str, Any]:
    """What ``info`` tells of an attempt that ended."""
    return {
        "cause": Cause(outcome.cause).name,
        "message": outcome.failure.message if outcome.failure else None,
        "ended": _now(),
        "runtime": outcome.runtime_us / 1e6,
        "cputime": {"user": outcome.cpu_user_us / 1e6, "system": outcome.cpu_system_us / 1e6},
        "memory": {"max_usage": outcome.peak_memory or None},
    }


def _now() -> int:
    return time.time_ns() // 1_000_000
