"""The process that runs jobs: take one, say so, call, answer. Standard library, cloudpickle and the floor's payload only.

It holds nothing of the platform's: no credential, no connection but two sockets to its worker. It trusts its worker and
is trusted by nobody. All jobs of one runner share an interpreter; what a job leaves behind that cannot be cleaned
(threads, processes, System V objects) ends the runner.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from picloud.wire import payload, systemlog
from picloud.worker import frame
from picloud.worker.inside import failure, programs, save, unseen
from picloud.worker.inside.code import Code, Spec
from picloud.worker.inside.output import Stream, capture_logging, text_frames
from picloud.worker.inside.place import Place
from picloud.worker.inside.stored import Mounts

QUICK_NS = 700
"""A shorter call cannot have written anything: nothing is checked after it."""
FILE_NS = 3_000
"""A shorter call cannot have made a file."""
FORK_NS = 100_000
"""A shorter call cannot have made a process or thread."""
SHARED_NS = 1_000_000
"""After a shorter call nobody looks for System V objects: the look takes 0.05 ms, and Python has no module for them."""
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
LOWERED = 4 << 20
"""Bytes that a job's peak must lie above what it left, for the mark to be lowered."""
SPECS = 500
"""Specs kept."""
UNFIT = 1
"""Exit status of a runner whose sandbox nobody should use again."""
LEFT = "threads or processes of the job lived on after it returned; they were ended together with its interpreter\n"
SHARED = "System V shared memory, semaphores or queues of the job were still there; they were removed together with its sandbox\n"
STACKS_SIGNAL = signal.SIGRTMAX - 3
LEAVE_SIGNAL = signal.SIGRTMAX - 4
"""The worker sends it to have the stacks of all threads written, before it kills."""

clock = time.perf_counter_ns

Done = tuple[tuple[int, int, int, int, int, int, int, int, int], bytes]
"""A result that was not sent yet: head without the next job, and what follows the head."""


class Runner:
    """One runner. ``order`` is the JSON that the worker put on the command line."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.folder = Path(order["folder"])
        self.feed = socket.socket(fileno=order["feed"])
        self.result = socket.socket(fileno=order["result"])
        self.code = Code(Path(order["code"]), Path(order["specs"]))
        self.place = Place(Path(order["home"]), [Path(one) for one in order["folders"]])
        self.mounts = Mounts(order["mounts"], order["page"])
        path = order["path"]
        self.boxed = bool(path)  # it sees a file system of its own
        if path:  # not before home was emptied: the job before may have left modules there
            os.environ["PYTHONPATH"] = path
            sys.path[1:1] = path.split(":")
        mark = bytes.fromhex(order["mark"])
        self.out, self.err = Stream("stdout", 1, mark), Stream("stderr", 2, mark)
        capture_logging(self.result.send)
        systemlog.keep(lambda text: self._tell("syslog", text))
        programs.watch()
        self.specs: dict[int, Spec] = {}
        self.spec: Spec | None = None
        self.job = (0, 0)
        self.attempt = 0
        self.in_user_code = self.leaving = self.visited = self.shared = False
        self.done: Done | None = None
        self.tail = b""
        self.value: Any = None
        self.count = self.resident = self.took = 0
        self.usage = resource.getrusage(resource.RUSAGE_SELF)
        self.children = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.buffer = bytearray(frame.LARGEST + 1024)
        self.view = memoryview(self.buffer)
        self._watch_signals()

    def _watch_signals(self) -> None:
        self.stacks = open(self.folder / "out" / "stacks", "w")  # noqa: SIM115 - open as long as the process lives
        faulthandler.enable(self.stacks, all_threads=True)
        faulthandler.register(STACKS_SIGNAL, self.stacks, all_threads=True)
        signal.signal(signal.SIGINT, self._interrupted)
        signal.signal(LEAVE_SIGNAL, self._visited)

    def _visited(self, *_: Any) -> None:
        """Others than the job have been in its sandbox: nothing of it may serve the next."""
        self.visited = True

    def _interrupted(self, *_: Any) -> None:
        """SIGINT counts only for the job that the worker names, and only while user code runs."""
        try:
            wanted = (self.folder / "interrupt").read_text()
        except OSError:
            return
        if self.in_user_code and wanted == f"{self.job[0]}.{self.job[1]}":
            raise failure.Interrupted

    # -- the loop -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run jobs until a QUIT frame, or until a job made this process unfit."""
        while not self.leaving:
            size = self._take()
            kind, flags, n, jid, key = frame.job_head.unpack_from(self.buffer)
            if kind == frame.QUIT:
                break
            self._announce(jid, n)
            self.job = jid, n
            self.done = self._perform(key, flags, self.view[frame.job_head.size : size])
        self._answer()

    def _take(self) -> int:
        """Receive the next job, and clean up after the one before. A result in hand waits for the next one's start mark,
        unless there is none yet; then it goes before anything else."""
        if self.done is not None:
            try:
                size = self.feed.recv_into(self.buffer, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._answer()
                self._clean()
            else:
                self._clean()
                return size
        self.usage = resource.getrusage(resource.RUSAGE_SELF)
        size = self.feed.recv_into(self.buffer)
        if size == 0:  # the worker is gone
            os._exit(0)
        return size

    def _announce(self, jid: int, n: int) -> None:
        if self.done is None:
            self.result.send(frame.start_head.pack(frame.START, n, jid))
        else:
            self._answer(jid, n)

    def _answer(self, next_jid: int = 0, next_n: int = 0) -> None:
        if self.done is not None:
            head, tail = self.done
            self.done = None
            self.result.send(frame.result_head.pack(*head, next_jid, next_n) + tail)

    # -- one job --------------------------------------------------------------------------------------------------

    def _perform(self, key: int, flags: int, data: memoryview) -> Done:
        """Load, call, save; never raises but for a broken worker."""
        step, begin, jid, n = "function", 0, *self.job
        self.place.jid.set(b"%d" % jid)
        if n != self.attempt:
            self.attempt = n
            os.environ["PICLOUD_ATTEMPT"] = str(n)
        if any(self.mounts.signs):
            self.mounts.wait()
        try:
            self.in_user_code = True
            spec = self._enter(key)
            function = self.code.function(spec)
            step = "arguments"
            args, kwargs = payload.loads(self._file(data) if flags & frame.FILE else bytes(data))
            step, call = "call", self._profiling(function.call) if spec.profile else function.call
            begin = clock()  # nothing of ours between the two looks at the clock
            value = call(*args, **kwargs)
            took = clock() - begin
            step = "result"
            said, preview, tail = self._saved(value)
            if took > QUICK_NS or type(value) not in save.PLAIN:  # pickling may run code of the user's
                took = clock() - begin
            self.in_user_code = False
        except BaseException as error:  # noqa: BLE001 - user code may raise anything; all of it is an outcome
            self.in_user_code = False
            took = clock() - begin if begin else 0
            said, preview, tail = self._failed(step, error), b"", self.tail
        said |= self._tidy(took)
        if any(self.mounts.signs) and (fault := self.mounts.store()):
            said, preview, tail = self._not_stored(fault, said, preview, tail)
        user, system, peak = self._used(took)
        return (frame.RESULT, said, len(preview), n, jid, took // 1000 or 1, user, system, peak), preview + tail

    def _file(self, name: memoryview) -> bytes:
        return (self.folder / "arguments" / str(name, "utf-8")).read_bytes()

    def _enter(self, key: int) -> Spec:
        """The spec of the job, with its environment variables in place."""
        if self.spec is not None and self.spec.key == key:
            return self.spec
        spec = self.specs.get(key)
        if spec is None:
            if len(self.specs) > SPECS:
                self.specs.clear()
            spec = self.specs[key] = self.code.spec(key)
        if spec.python and spec.python != HERE:
            raise failure.Skew(spec.python)
        self.place.set_environment(spec.env)
        if spec.hidden or (self.spec is not None and self.spec.hidden):
            self._hide(spec)
        self.spec = spec
        return spec

    def _hide(self, spec: Spec) -> None:
        """Let ``cloud`` know, in this process and its forks, what it must not tell of a handler's errors."""
        from picloud.wire import mask

        mask.here = mask.Mask(spec.hidden) if spec.hidden else None

    def _saved(self, value: Any) -> tuple[int, bytes, bytes]:
        jid, n = self.job
        if type(value) in save.PLAIN and (data := save.plain(value)) is not None:
            return 0, save.preview(value), data
        self.value = value  # for the path to what cannot be pickled
        data = save.store(save.pack(value), self.folder / "out" / f"{jid}.{n}")
        self.value = None
        return (0, save.preview(value), data) if data is not None else (frame.FILE, save.preview(value), b"")

    def _failed(self, step: str, error: BaseException) -> int:
        """Put the failure into ``self.tail``; returns its flags."""
        flags = frame.FAILED
        if isinstance(error, failure.Interrupted | SystemExit) or step == "call":
            self.tail = failure.of(error)
            if self.boxed and (told := unseen.advice(error, str(self.place.home.path))):
                self._tell("pilog", told)
            if step == "call" and self.spec is not None:
                retry_on = self.code.function(self.spec).retry_on
                flags |= frame.RETRY if retry_on is None or isinstance(error, retry_on) else 0
        elif isinstance(error, failure.Skew):
            self.tail = failure.skew(error)
        elif step == "result":
            self.tail = failure.cannot_save(error, self.value)
            self.value = None
        else:
            client = self.spec.python if self.spec is not None else ""
            self.tail = failure.cannot_load(error, f"The {step} of the job", client)
        return flags

    def _not_stored(self, fault: str, said: int, preview: bytes, tail: bytes) -> tuple[int, bytes, bytes]:
        """What the job wrote into its mounts is not all there: that is its failure, unless it has one already."""
        self.leaving = True  # nothing of this shall fail the next
        self._tell("pilog", f"{fault}\n")
        if not said & frame.FAILED:
            said, preview, tail = said & ~frame.FILE | frame.FAILED, b"", failure.not_stored(fault)
        return said | frame.LEAVING, preview, tail

    def _profiling(self, call: Any) -> Any:
        def profiled(*args: Any, **kwargs: Any) -> Any:
            import cProfile  # 0.1 s at the start of every slot, for the few jobs that ask
            import pstats

            profile = cProfile.Profile()
            try:
                return profile.runcall(call, *args, **kwargs)
            finally:
                text = io.StringIO()
                pstats.Stats(profile, stream=text).sort_stats("cumulative").print_stats().print_callees()
                self._tell("profile", text.getvalue())

        return profiled

    # -- after a job ----------------------------------------------------------------------------------------------

    def _tidy(self, took: int) -> int:
        """Close the output of the job, and end what it left running; returns flags."""
        self.took = took
        kill = self.visited or (self.spec is not None and self.spec.kill_process)
        if took < QUICK_NS and not kill and self.out.quiet() and self.err.quiet():
            return 0
        flags = frame.MARKED_OUT if self.out.end(took) else 0
        flags |= frame.MARKED_ERR if self.err.end(took) else 0
        if took > FORK_NS:
            signal.signal(signal.SIGINT, self._interrupted)
        left = took > FORK_NS and left_behind()
        self.shared = self.boxed and took > SHARED_NS and shares()
        if left or self.shared:
            self._tell("pilog", LEFT if left else SHARED)
        if kill or left or self.shared:
            self.leaving = True
            flags |= frame.LEAVING
        return flags

    def _tell(self, stream: str, text: str) -> None:
        for piece in text_frames(frame.STREAMS.index(stream), text):
            self.result.send(piece)

    def _clean(self) -> None:
        """Make everything else as if no job had run."""
        self.place.reseed(sys.modules)
        if self.took > FILE_NS:
            self.place.clean()
        else:
            os.fchdir(self.place.home.fd)

    def _used(self, took: int) -> tuple[int, int, int]:
        """CPU time in user and kernel space (microseconds) and peak memory (bytes) of the job.

        The kernel keeps one high-water mark for the process, which is lowered after a job that raised it. A job that did not
        raise it used what is resident after it; for the shortest jobs that is looked at now and then.
        """
        self.count += 1
        if took < 1_000_000:
            if self.count & 63 == 1:  # so that the account of a longer job starts near its begin
                self.usage = resource.getrusage(resource.RUSAGE_SELF)
                self.resident = resident()
            return took // 1000, 0, self.resident
        before, self.usage = self.usage, resource.getrusage(resource.RUSAGE_SELF)
        children, self.children = self.children, resource.getrusage(resource.RUSAGE_CHILDREN)
        user = self.usage.ru_utime - before.ru_utime + self.children.ru_utime - children.ru_utime
        system = self.usage.ru_stime - before.ru_stime + self.children.ru_stime - children.ru_stime
        self.resident = resident()
        peak = self.usage.ru_maxrss * 1024 if self.usage.ru_maxrss > before.ru_maxrss else self.resident
        if self.children.ru_maxrss > children.ru_maxrss:
            peak = max(peak, self.children.ru_maxrss * 1024)
        if self.usage.ru_maxrss * 1024 > self.resident + LOWERED:
            lower_mark()
            self.usage = resource.getrusage(resource.RUSAGE_SELF)
        return int(user * 1e6), int(system * 1e6), peak


def resident() -> int:
    """Bytes of memory that this process has in RAM."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def lower_mark() -> None:
    """Lower the high-water mark of this process's memory to what it holds now."""
    try:
        with open("/proc/self/clear_refs", "wb", buffering=0) as file:
            file.write(b"5")
    except OSError:
        return  # /proc is not ours to write: then a smaller job shows what it left resident


def left_behind() -> bool:
    """Whether threads or child processes of a job live on. Ended children are reaped."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(0.02)
    try:
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) is not None:
            pass
        return True  # a child that has not ended
    except ChildProcessError:
        return threading.active_count() > 1


def shares() -> bool:
    """Whether there are System V objects in this IPC namespace: they outlive every process."""
    for name in ("shm", "sem", "msg"):
        with open(f"/proc/sysvipc/{name}", "rb", buffering=0) as file:
            if file.read(4096).count(b"\n") > 1:  # the first line names the columns
                return True
    return False


def main() -> None:
    """Entry point: ``python -c "from picloud.worker.runner import main; main()" ORDER``."""
    order = json.loads(sys.argv[1])
    sys.argv[:] = [""]
    runner = Runner(order)
    runner.result.send(frame.start_head.pack(frame.READY, 0, os.getpid()))
    runner.run()
    os._exit(UNFIT if runner.shared else 0)  # whatever threads a job left
