"""One slot: a runner process in its sandbox, its result socket and pipes, and the job it has in hand.

The slot turns what comes from the runner, or how the runner died, into outcomes; what to do next is the pool's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Protocol

from picloud.sandbox.base import Inside
from picloud.sandbox.local import LocalInside
from picloud.wire.job import INLINE_LIMIT, Cause, Failure
from picloud.wire.message import Lease, LogChunk, Outcome, Spec
from picloud.worker import channel, death, frame, surroundings
from picloud.worker.door import Door, Visit
from picloud.worker.feed import Feed, Key
from picloud.worker.logs import JobLog, Pipe
from picloud.worker.loop import READ_ONCE, Loop, Timer
from picloud.worker.order import Order
from picloud.worker.sandbox import Process, Sandbox
from picloud.worker.warden import Warden

GRACE = 2.0  # seconds from SIGINT to SIGKILL
SURE_AFTER = 0.001  # seconds after which a job's output is closed by a mark in any case (inside.output)
STACKS_TIME = 0.05  # seconds that writing the stacks may take
TURNS = 256  # datagrams read from one runner before the others get their turn
SLACK_US = 50_000  # how far the runner's own clock may differ from what the worker saw

STACKS_SIGNAL = signal.SIGRTMAX - 3
LEAVE_SIGNAL = signal.SIGRTMAX - 4
"""Tells a runner to leave after the job in hand: others than the job have been in its sandbox."""

_buffer = bytearray(frame.LARGEST + 1024)
_view = memoryview(_buffer)


class Running:
    """The attempt that a slot has in hand."""

    __slots__ = ("began", "ending", "job_log", "key", "lease", "peak", "shown", "spec", "started_ms", "timers", "told", "waits")

    def __init__(self, lease: Lease, spec: Spec) -> None:
        self.lease, self.spec, self.key = lease, spec, (lease.jid, lease.n)
        self.began, self.started_ms = time.monotonic(), int(time.time() * 1000)
        self.ending: Failure | None = None  # why the worker is ending it
        self.job_log: JobLog | None = None
        self.timers: tuple[Timer, ...] = ()
        self.peak = 0
        self.shown = 0.0  # when its output was sent last
        self.told = False  # that it has started
        self.waits = 0  # requests under way that wait for other jobs


class Owner(Protocol):
    """What a slot needs from the pool."""

    loop: Loop
    feed: Feed
    order: Order
    folder: Path
    warden: Warden

    def begun(self, slot: Slot, key: Key) -> Running | None:
        """The slot's runner took this job; None = it may not have it."""

    def ended(self, slot: Slot, running: Running, outcome: Outcome, large: Path | None) -> None:
        """The job in hand is over; ``large``: its result lies in this file."""

    def printed(self, chunks: list[LogChunk]) -> None:
        """Output to be sent."""

    def waits(self, slot: Slot, running: Running, begins: bool) -> None:
        """The job in hand begins or ends to wait for other jobs."""

    def ready(self, slot: Slot) -> None:
        """The runner can take jobs."""

    def gone(self, slot: Slot, clean: bool) -> None:
        """The runner has ended."""


class Slot:
    """See the module."""

    def __init__(self, owner: Owner, number: int, sandbox: Sandbox) -> None:
        self.owner, self.number, self.sandbox = owner, number, sandbox
        self.job: Running | None = None
        self.process: Process | None = None
        self.is_ready = self.was_ready = self.leaving = False
        (sandbox.folder / "out").mkdir(exist_ok=True, mode=0o700)
        self.door = Door(owner.order, sandbox.folder, self._in_hand)
        self.guests = channel.Guests()
        channel.prepare(sandbox.folder)

    # -- the process ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a runner."""
        mark = os.urandom(24)
        self.out, self.err = Pipe(mark), Pipe(mark)
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        feed = self.owner.feed.out.fileno()
        order = json.dumps(
            {
                "folder": str(self.sandbox.folder),
                "code": str(self.owner.folder / "code"),
                "specs": str(self.owner.folder / "specs"),
                "feed": feed,
                "result": theirs.fileno(),
                "mark": mark.hex(),
            }
        )
        argv = [sys.executable, "-P", "-c", "from picloud.worker.runner import main; main()", order]
        env = surroundings.of(self.sandbox.folder, self.door.path, self.owner.order.cores)
        self.process = self.sandbox.start(argv, env, (feed, theirs.fileno()), (self.out.writer, self.err.writer))
        self.inside: Inside = LocalInside(self.sandbox.folder / "home", env, self.process.everything)
        self.owner.warden.begins(self.process.pid)
        theirs.close()
        self.socket.setblocking(False)
        self._receive = self.socket.recv_into
        loop = self.owner.loop
        loop.watch(self.socket.fileno(), self.read)
        loop.watch(self.process.pidfd, self._died)
        for pipe in (self.out, self.err):
            pipe.started()
            loop.watch(pipe.fd, lambda pipe=pipe: self._printed(pipe), READ_ONCE)  # type: ignore[misc]
        self.is_ready = self.was_ready = self.leaving = False

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
        self.job = self.owner.begun(self, (jid, n))
        return self.job is not None

    def _result(self, size: int) -> bool:
        _, flags, preview_size, n, jid, runtime, user, system, peak, next_jid, next_n = frame.result_head.unpack_from(_buffer)
        running, at = self.job, frame.result_head.size + preview_size
        if running is None or running.key != (jid, n) or at > size:
            return False
        preview = str(_view[frame.result_head.size : at], "utf-8", "replace")
        data = bytes(_view[at:size])
        outcome = Outcome(
            jid, n, running.lease.lease, 0, runtime, user, system, peak, preview, data, started_ms=running.started_ms
        )
        if flags or running.ending is not None or running.job_log is not None or runtime > SLACK_US or self.guests.came:
            large = self._unusual(running, outcome, flags)
            if large is None:
                return False
        else:
            large = _NO_FILE
        self.job = None
        self.owner.ended(self, running, outcome, large if large is not _NO_FILE else None)
        return not next_jid or self._begin(next_jid, next_n)

    def _unusual(self, running: Running, outcome: Outcome, flags: int) -> Path | None:
        """All that most jobs do not need. Returns the file of a large result, ``_NO_FILE``, or None: the runner lied."""
        elapsed = int((time.monotonic() - running.began) * 1e6)
        outcome.runtime_us = min(max(outcome.runtime_us, elapsed - SLACK_US), elapsed + SLACK_US)
        outcome.peak_memory = max(outcome.peak_memory, running.peak)
        self._close_output(running, flags)
        self.leaving = self.leaving or bool(flags & frame.LEAVING)
        self.guests.end()
        try:
            self._judge(running, outcome, flags)
        except ValueError:
            return None
        if len(outcome.data) > INLINE_LIMIT:
            return None
        self._let_go(running)
        return self._large(running) if flags & frame.FILE and not outcome.cause else _NO_FILE

    def _judge(self, running: Running, outcome: Outcome, flags: int) -> None:
        """Cause and certificate of a job whose runner lives."""
        if flags & frame.FAILED:
            cause, outcome.failure = death.told(outcome.data)
            outcome.cause, outcome.data, outcome.retry = cause, b"", bool(flags & frame.RETRY)
        if running.ending is not None:
            told = outcome.failure.traceback if outcome.failure else ""
            outcome.failure, outcome.data, outcome.retry = running.ending, b"", False
            outcome.failure.traceback = outcome.failure.traceback or told
            outcome.cause = Cause[running.ending.cause]
        elif outcome.cause == Cause.killed:  # an interrupt that nobody ordered
            raise ValueError("no order to end this job")
        if outcome.failure is not None:
            self._add_evidence(running, outcome)

    def _add_evidence(self, running: Running, outcome: Outcome) -> None:
        failure, limit = outcome.failure, self.owner.order.memory_limit
        if failure is None:
            return
        if running.job_log is not None and not failure.log_tail:
            failure.log_tail = running.job_log.last()
        if outcome.cause == Cause.out_of_memory and failure.memory_limit is None:
            failure.peak_memory, failure.memory_limit = outcome.peak_memory or None, limit
            failure.advice = failure.advice or death.bigger(limit)

    def _large(self, running: Running) -> Path | None:
        """The file of a large result, moved away from where the runner can reach it by name."""
        path = self.sandbox.folder / "out" / f"{running.key[0]}.{running.key[1]}"
        if path.is_symlink() or not path.is_file():
            return None
        return path

    def _other(self, kind: int, size: int) -> bool:
        if kind == frame.TEXT and size >= frame.text_head.size:
            stream = _buffer[1]
            if self.job is not None and stream < len(frame.STREAMS):
                self.log(self.job).add(frame.STREAMS[stream], bytes(_view[frame.text_head.size : size]))
            return stream < len(frame.STREAMS)
        if kind == frame.READY and size == frame.start_head.size and not self.is_ready:
            self.is_ready = self.was_ready = True
            self.owner.ready(self)
            return True
        return False

    def _broken(self) -> None:
        """The runner broke the rules of the socket: user code wrote into it. It ends, its job with it."""
        if self.job is not None and self.job.ending is None:
            self.job.ending = Failure(
                "signal",
                "The job wrote into the socket between runner and worker",
                "do not write to file descriptors that the job did not open",
            )
        self.owner.loop.forget(self.socket.fileno())
        if self.process is not None:
            self.process.signal(signal.SIGKILL)

    def _in_hand(self) -> Visit | None:
        """For the door, from its threads."""
        loop = self.owner.loop

        def look() -> Visit | None:
            self.read()  # the start mark may still lie in the socket
            running = self.job
            if running is None or running.ending is not None:
                return None
            (jid, n), mark = running.key, running.lease.lease.hex()
            return Visit(f"{jid}.{n}.{mark}", lambda begins: loop.call(lambda: self.owner.waits(self, running, begins)))

        found: Visit | None = loop.ask(look)
        return found

    # -- guests ---------------------------------------------------------------------------------------------------

    def welcome(self) -> None:
        """A guest comes to the job in hand: the runner leaves after it, so that nothing of the guest's stays."""
        if not self.guests.came and self.process is not None:
            self.process.signal(LEAVE_SIGNAL)
        self.guests.came = True

    # -- output ---------------------------------------------------------------------------------------------------

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
        (self.sandbox.folder / "interrupt").write_text(f"{running.key[0]}.{running.key[1]}")
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
        if self.job is running and self.process is not None:
            self.process.end()

    def _let_go(self, running: Running) -> None:
        for timer in running.timers:
            timer.cancel()
        if running.ending is not None:
            with contextlib.suppress(FileNotFoundError):
                (self.sandbox.folder / "interrupt").unlink()

    def _died(self) -> None:
        """The runner's process has ended."""
        process = self.process
        if process is None:
            return
        with contextlib.suppress(OSError, ValueError):
            self.read()  # what it said before
        status = process.wait()
        left = process.end()
        self.guests.end()
        self.owner.warden.ended(process.pid)
        running, self.job = self.job, None
        if running is not None:
            self._certify(running, status, left)
        clean = running is None and status == 0
        self.close()
        self.owner.gone(self, clean)

    def _certify(self, running: Running, status: int, left: list[int]) -> None:
        self.take_output(running)
        cause, failure = death.of_status(status, surroundings.kernel_killed(), running.peak, self.owner.order.memory_limit)
        if running.ending is not None:
            failure, cause = running.ending, Cause[running.ending.cause]
        failure.stacks = self._stacks()
        elapsed = int((time.monotonic() - running.began) * 1e6)
        outcome = Outcome(
            *running.key,
            running.lease.lease,
            cause,
            elapsed,
            peak_memory=running.peak,
            failure=failure,
            started_ms=running.started_ms,
        )
        self._add_evidence(running, outcome)
        if running.job_log is not None:
            self.owner.printed(running.job_log.take())
        self._let_go(running)
        self.owner.ended(self, running, outcome, None)

    def _stacks(self) -> str:
        try:
            with open(self.sandbox.folder / "stacks", "rb") as file:
                return death.stacks(file.read(32_000).decode(errors="replace"))
        except OSError:
            return ""

    def close(self) -> None:
        """Let go of everything that belonged to the process."""
        if self.process is None:
            return
        for fd in (self.socket.fileno(), self.process.pidfd, self.out.fd, self.err.fd):
            self.owner.loop.forget(fd)
        self.out.close()
        self.err.close()
        self.socket.close()
        os.close(self.process.pidfd)
        self.process = None
        self.is_ready = False


_NO_FILE = Path()
