"""One slot: a runner process in its sandbox, its result socket and pipes, and the job it has in hand.

The slot turns what comes from the runner, or how the runner died, into outcomes; what to do next is the pool's.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from pathlib import Path

from picloud.sandbox.base import Gauge, Program, Sandbox
from picloud.wire.job import INLINE_LIMIT, Cause, Failure
from picloud.wire.message import Outcome, Sample, Samples
from picloud.worker import death, evidence, found, frame, remarks
from picloud.worker.door import Visit
from picloud.worker.launch import Launched
from picloud.worker.logs import JobLog, Pipe
from picloud.worker.loop import READ_ONCE
from picloud.worker.owner import Owner
from picloud.worker.quarters import Quarters, ended
from picloud.worker.running import Running
from picloud.worker.samples import Meter
from picloud.worker.trust import Trust

log = logging.getLogger(__name__)

GRACE = 2.0  # seconds from SIGINT to SIGKILL
SURE_AFTER = 0.001  # seconds after which a job's output is closed by a mark in any case (inside.output)
STACKS_TIME = 0.05  # seconds that writing the stacks may take
TURNS = 256  # datagrams read from one runner before the others get their turn
SLACK_US = 50_000  # how far the runner's own clock may differ from what the worker saw
LARGEST_BITS = 62  # of a figure; more is no figure, and no database takes it
MEASURED_US = 100_000  # jobs that run longer have figures of their sandbox
JOURNAL_US = 500  # a job that ran longer gets its last lines of the system log before its end is told

STACKS_SIGNAL = signal.SIGRTMAX - 3
LEAVE_SIGNAL = signal.SIGRTMAX - 4  # leave after the job in hand: others than the job have been in the sandbox

_buffer = bytearray(frame.LARGEST + 1024)
_view = memoryview(_buffer)


class Slot:
    """See the module."""

    def __init__(self, owner: Owner, number: int) -> None:
        self.owner, self.number = owner, number
        self.folder = owner.folder / f"slot-{number}"
        self.quarters = Quarters(owner, self.folder, self._in_hand, self._told)
        self.job: Running | None = None
        self.process: Program | None = None
        self.rested: Gauge | None = None  # taken since its last job
        self._trust = Trust()
        self.is_ready = self.was_ready = self.leaving = self.starting = self.ended = False

    @property
    def sandbox(self) -> Sandbox | None:
        """Where its runners live; None before the first, and after the end."""
        return self.quarters.sandbox

    # -- the process ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a runner, in a thread; it tells when it is ready."""
        self.starting = True
        self.is_ready = self.was_ready = self.leaving = False
        self.owner.loop.work(self.quarters.launch, self._launched)

    def _launched(self, found: Launched | None, error: BaseException | None) -> None:
        self.starting = False
        if found is None:
            log.error("a slot could not be started: %r", error, exc_info=error)
            self.owner.failed(self, error)
            return
        self.process, self.socket, self.out, self.err = found
        if self.ended:  # the pool let go of it meanwhile
            self.close()
            self.owner.loop.work(self.quarters.end, ended)
            return
        self.owner.warden.begins(self.process.pid)
        self._receive = self.socket.recv_into
        self.quarters.runs(self.process.pid)
        loop = self.owner.loop
        if self.quarters.log >= 0:
            loop.watch(self.quarters.log, self._journal)
        loop.watch(self.socket.fileno(), self.read)
        loop.watch(self.process.pidfd, self._died)
        for pipe in (self.out, self.err):
            loop.watch(pipe.fd, lambda pipe=pipe: self._printed(pipe), READ_ONCE)  # type: ignore[misc]
            self._printed(pipe)
        self.rested = None

    def end(self) -> None:
        """End the sandbox, for good."""
        self.ended = True
        if not self.starting:  # else it ends once it is there
            self.quarters.end()

    # -- what the runner says -------------------------------------------------------------------------------------

    def read(self) -> None:
        """Act on what the runner has sent."""
        for _ in range(TURNS):
            try:
                size = self._receive(_buffer)
            except (BlockingIOError, ConnectionResetError):
                return
            kind = _buffer[0]
            if kind == frame.RESULT and size >= frame.result_head.size:
                good = self._result(size)
            elif kind == frame.START and size == frame.start_head.size:
                _, n, jid = frame.start_head.unpack_from(_buffer)
                good = self._begin(jid, n)
            elif size == 0:  # the end of the process tells more
                self.owner.loop.forget(self.socket.fileno())
                return
            else:
                good = self._other(kind, size)
            if not good:
                self._broken()
                return

    def _begin(self, jid: int, n: int) -> bool:
        if self.job is not None:
            return False
        job = self.job = self.owner.begun(self, (jid, n))
        if job is None:
            return False
        job.before, self.rested = self.rested, None
        return True

    def _journal(self) -> None:
        """A line may have come for the system log."""
        for line in self.quarters.lines():
            if self.job is not None:
                self.log(self.job).add("syslog", line)

    def _result(self, size: int) -> bool:
        _, flags, preview_size, n, jid, runtime, user, system, peak, next_jid, next_n = frame.result_head.unpack_from(_buffer)
        running, at = self.job, frame.result_head.size + preview_size
        if running is None or running.key != (jid, n) or at > size or (runtime | user | system | peak) >> LARGEST_BITS:
            return False
        preview = str(_view[frame.result_head.size : at], "utf-8", "replace")
        data = bytes(_view[at:size])
        outcome = Outcome(
            jid, n, running.lease.lease, 0, runtime, user, system, peak, preview, data, started_ms=running.started_ms
        )
        seen = int((time.monotonic() - running.began) * 1e6)
        if runtime > JOURNAL_US:
            self._journal()
            self.quarters.listen()
        if flags or running.ending is not None or running.job_log is not None or runtime > SLACK_US:
            large = self._unusual(running, outcome, flags, seen)
            if large is None:
                return False
        else:
            large = _NO_FILE
        outcome.runtime_us = self._trust.fair(outcome.runtime_us, seen)
        self.job = None
        self.owner.ended(self, running, outcome, large if large is not _NO_FILE else None)
        return not next_jid or self._begin(next_jid, next_n)

    def _unusual(self, running: Running, outcome: Outcome, flags: int, seen: int) -> Path | None:
        """All that most jobs do not need; ``seen``: microseconds that the worker saw it run.

        Returns:
            The file of a large result, ``_NO_FILE``, or None: the runner lied.
        """
        outcome.runtime_us = min(max(outcome.runtime_us, seen - SLACK_US), seen + SLACK_US)
        if killed := self.quarters.kernel_limits and self.quarters.memory_ran_out():
            evidence.killed(running, True, self.owner.order)
        outcome.peak_memory = max(outcome.peak_memory, running.peak)
        self._measure(running, outcome)
        self._close_output(running, flags)
        self.leaving = self.leaving or bool(flags & frame.LEAVING)
        try:
            evidence.judge(running, outcome, flags, killed, self.owner.order)
        except ValueError:
            return None
        if len(outcome.data) > INLINE_LIMIT:
            return None
        self._let_go(running)
        return self._large(running) if flags & frame.FILE and not outcome.cause else _NO_FILE

    def _large(self, running: Running) -> Path | None:
        """The file of a large result, moved away from where the runner can reach it by name."""
        path = self.quarters.run / "out" / f"{running.key[0]}.{running.key[1]}"
        return found.taken(path, self.owner.folder / "results" / path.name)

    def _other(self, kind: int, size: int) -> bool:
        if kind == frame.TEXT and size >= frame.text_head.size:
            stream = _buffer[1]
            if self.job is not None and stream < len(frame.STREAMS):
                self.log(self.job).hear(frame.STREAMS[stream], bytes(_view[frame.text_head.size : size]))
            return stream < len(frame.STREAMS)
        if kind == frame.READY and size == frame.start_head.size and not self.is_ready:
            self.is_ready = self.was_ready = True
            self.owner.ready(self)
            return True
        return False

    def _broken(self) -> None:
        """The runner broke the rules of the socket: user code wrote into it. It ends, its job with it."""
        if self.job is not None and self.job.ending is None:
            self.job.ending = death.broken()
        self.owner.loop.forget(self.socket.fileno())
        if self.process is not None:
            self.process.signal(signal.SIGKILL)

    def _in_hand(self) -> Visit | None:
        """For the door, from its threads."""
        loop, waits = self.owner.loop, self.owner.waits

        def look() -> Visit | None:
            self.read()  # the start mark may still lie in the socket
            running = self.job
            if running is None or running.ending is not None:
                return None
            return Visit(running.named, lambda begins, of: loop.call(lambda: waits(self, running, begins, of)), running.answered)

        found: Visit | None = loop.ask(look)
        return found

    def welcome(self) -> None:
        """A guest comes to the job in hand: runner and sandbox go with it, so that nothing of the guest's stays."""
        if not self.quarters.visited and self.process is not None:
            self.quarters.visited = True
            self.process.signal(LEAVE_SIGNAL)

    # -- figures --------------------------------------------------------------------------------------------------

    def gauge(self) -> Gauge | None:
        """What its sandbox has used and uses; None = nobody can tell, or nothing lives there any more."""
        return self.quarters.gauge() if self.process is not None else None

    def rest(self) -> None:
        """No job is in hand: the next one's figures begin here."""
        if self.rested is None and self.is_ready:
            self.rested = self.gauge()

    def sample(self, running: Running) -> Sample | None:
        """Take a sample of the job in hand; None = nobody can tell any more."""
        gauge = self.gauge() if running.meter is not None else None
        if running.meter is None or gauge is None:
            return None
        return running.meter.sample(gauge, int((time.monotonic() - running.began) * 1000))

    def _measure(self, running: Running, outcome: Outcome) -> None:
        """Put the figures of a sampled job into its outcome; of one that ended before its first sample, those of its end."""
        if running.meter is None and running.before is not None and outcome.runtime_us > MEASURED_US:
            running.meter = Meter(*running.key, running.before, self.owner.order.memory_limit)
        if running.meter is not None:
            if (last := self.sample(running)) is not None:
                self.owner.reports.tell(Samples([last]))
                remarks.of(self, running, last, self.owner.order.memory_limit)
            running.meter.into(outcome)

    # -- output ---------------------------------------------------------------------------------------------------

    def tell(self, running: Running, text: str, stream: str = "pilog") -> None:
        """Write a line into the Pi log (or ``syslog``) of the job in hand, with the time."""
        self.log(running).tell(stream, text)

    def _told(self, text: str) -> None:
        """What happened around the job in hand, if there is one."""
        if self.job is not None:
            self.tell(self.job, text)

    def log(self, running: Running) -> JobLog:
        """The output of the job in hand."""
        if running.job_log is None:
            running.job_log = JobLog(*running.key, self.owner.order.log_head, self.owner.order.log_tail)
        return running.job_log

    def _printed(self, pipe: Pipe) -> None:
        """Something was written. Output of a job that has only just begun stays in the pipe, where its runner sees it."""
        self.read()  # so that the job in hand is the one that runs now
        job = self.job
        if (job is None or time.monotonic() - job.began < SURE_AFTER) and not pipe.crowded:
            return
        if not pipe.read():
            self.owner.loop.forget(pipe.fd)
        if pipe.full and job is not None:
            self.take_output(job)

    def take_output(self, running: Running) -> None:
        """Give the job in hand what its runner has printed since the last mark."""
        for name, pipe in (("stdout", self.out), ("stderr", self.err)):
            pipe.read()
            if data := pipe.rest():
                self.log(running).add(name, data)

    def _close_output(self, running: Running, flags: int) -> None:
        for flag, name, pipe in ((frame.MARKED_OUT, "stdout", self.out), (frame.MARKED_ERR, "stderr", self.err)):
            if flags & flag and (data := pipe.until_mark()):
                self.log(running).add(name, data)
        if running.job_log is not None:
            self.owner.printed(running.job_log.take())

    # -- ending ---------------------------------------------------------------------------------------------------

    def stop(self, running: Running, why: Failure) -> None:
        """End the job in hand: an interrupt first, so that its traceback is kept, then the end of its process."""
        if running.ending is not None or self.process is None:
            return
        running.ending = why
        (self.quarters.run / "interrupt").write_text(f"{running.key[0]}.{running.key[1]}")
        self.process.signal(signal.SIGINT)
        loop = self.owner.loop
        running.timers += (
            loop.after(GRACE * 0.8, lambda: self._ask_stacks(running)),
            loop.after(GRACE, lambda: self.kill(running)),
        )

    def _ask_stacks(self, running: Running) -> None:
        if self.job is running and self.process is not None:
            self.process.signal(STACKS_SIGNAL)

    def cut_down(self, running: Running, why: Failure) -> None:
        """End the job in hand without asking it, but for its stacks."""
        running.ending = why
        self._ask_stacks(running)
        running.timers += (self.owner.loop.after(STACKS_TIME, lambda: self.kill(running)),)

    def kill(self, running: Running) -> None:
        """End the process of the job in hand at once, with all that the job has started."""
        if self.job is running and self.sandbox is not None:
            self.sandbox.strike()

    def _let_go(self, running: Running) -> None:
        for timer in running.timers:
            timer.cancel()
        if running.ending is not None:
            with contextlib.suppress(FileNotFoundError):
                (self.quarters.run / "interrupt").unlink()

    def _died(self) -> None:
        """The runner's process has ended."""
        process = self.process
        if process is None:
            return
        with contextlib.suppress(OSError, ValueError):
            self.read()  # what it said before
        self._journal()
        status = process.wait()
        self.owner.warden.ended(process.pid)
        running, self.job = self.job, None
        if running is not None:
            self._certify(running, status)
        clean = self.quarters.fit = running is None and status == 0
        self.close()
        self.owner.gone(self, clean)

    def _certify(self, running: Running, status: int) -> None:
        self.take_output(running)
        if killed := self.quarters.memory_ran_out():
            evidence.killed(running, self.quarters.kernel_limits, self.owner.order)
        cause, failure = death.of_status(status, killed, running.peak, self.owner.order)
        if running.ending is not None:
            failure, cause = running.ending, Cause[running.ending.cause]
        failure.stacks = evidence.stacks(self.quarters.run / "out")
        elapsed = int((time.monotonic() - running.began) * 1e6)
        outcome = Outcome(*running.key, running.lease.lease, cause, elapsed, failure=failure, started_ms=running.started_ms)
        outcome.peak_memory = running.peak
        self._measure(running, outcome)
        evidence.add(running, outcome, self.owner.order)
        if running.job_log is not None:
            self.owner.printed(running.job_log.take())
        self._let_go(running)
        self.owner.ended(self, running, outcome, None)

    def close(self) -> None:
        """Let go of everything that belonged to the process."""
        if self.process is None:
            return
        for fd in (self.socket.fileno(), self.process.pidfd, self.out.fd, self.err.fd, self.quarters.log):
            self.owner.loop.forget(fd)
        self.out.close()
        self.err.close()
        self.socket.close()
        self.process.close()
        self.process = None
        self.is_ready = False


_NO_FILE = Path()
