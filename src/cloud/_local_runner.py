"""The loop of a local worker process: read a job, call it, answer with its outcome. Run as ``python -c`` by the pool.

It runs beside the user's code, in a process of its own, and speaks frames (u64 length + msgpack) on one socket.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import random
import resource
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import cloudpickle
import msgspec
from msgspec import Struct

from picloud.wire import describe, payload
from picloud.wire.error import CloudException
from picloud.wire.job import Cause, Failure
from picloud.wire.message import Outcome

FUNCTIONS = 32
"""Loaded functions a process keeps."""


class Task(Struct, array_like=True):
    """One job for one process."""

    jid: int
    n: int
    function: str  # digest
    name: str
    code: bytes  # of the function; empty when this process has it
    args: bytes
    env: dict[str, str]
    cwd: str  # the client's own, as it is now
    path: list[str]  # sys.path of the client; empty where it has not changed
    profile: bool = False


class Ended(Struct, array_like=True):
    """What a process sends: the end of a job, or None once, when it is ready for the first."""

    outcome: Outcome | None = None
    profile: str = ""


class _Halt(Exception):
    """A job ends before or after the user's code, with this cause."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def send(link: socket.socket, message: Struct) -> None:
    """Write one frame."""
    body = msgspec.msgpack.encode(message)
    link.sendall(struct.pack("<Q", len(body)) + body if len(body) < 65536 else struct.pack("<Q", len(body)))
    if len(body) >= 65536:
        link.sendall(body)


def receive(link: socket.socket) -> bytearray | None:
    """Read one frame, waiting for it; None at the end of the stream."""
    head = _exactly(link, 8)
    return _exactly(link, struct.unpack("<Q", head)[0]) if head else None


def _exactly(link: socket.socket, size: int) -> bytearray | None:
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        count = link.recv_into(view[got:])
        if not count:
            return None
        got += count
    return data


def main(fd: int, stacks: int) -> None:
    """Run jobs from the socket ``fd`` until it closes; crashes leave all threads' stacks in the file ``stacks``."""
    link = socket.socket(fileno=fd)
    link.set_inheritable(False)
    os.set_inheritable(stacks, False)
    faulthandler.enable(file=stacks, all_threads=True)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # info() reads along
    loaded: dict[str, tuple[Callable[..., Any], Any]] = {}
    decode = msgspec.msgpack.Decoder(Task).decode
    _die_with_parent()
    with contextlib.suppress(OSError):  # the client has gone
        send(link, Ended())
        while (frame := receive(link)) is not None:
            send(link, run(decode(frame), loaded))
    os._exit(0)  # not waiting for threads that the user's code left behind


def _die_with_parent() -> None:
    """A client that is killed shall leave no job behind (where the kernel knows how; else the job ends first)."""
    if sys.platform == "linux":
        import ctypes
        import signal

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def run(task: Task, loaded: dict[str, tuple[Callable[..., Any], Any]]) -> Ended:
    """Run one job to its outcome; user code cannot make this raise."""
    _forget_peak()
    begun, usage, process = time.monotonic_ns(), _usage(), os.getpid()
    outcome = Outcome(task.jid, task.n, b"", Cause.none, 0, started_ms=time.time_ns() // 1_000_000)
    ended = Ended(outcome)
    before = _prepare(task)
    try:
        function, retry_on, args, kwargs = _load(task, loaded)
        begun = time.monotonic_ns()
        value = _call(function, args, kwargs, task, ended, retry_on)
        outcome.runtime_us = (time.monotonic_ns() - begun) // 1000
        outcome.data = _pack(value)
        outcome.preview = describe.value(value)
    except _Halt as halt:
        outcome.failure = halt.failure
        outcome.cause = Cause[halt.failure.cause]
        outcome.runtime_us = outcome.runtime_us or (time.monotonic_ns() - begun) // 1000
    if os.getpid() != process:  # the job forked and the copy came back here too: only the original may answer
        os._exit(1)
    _restore(before)
    now = _usage()
    outcome.cpu_user_us, outcome.cpu_system_us = (int((b - a) * 1e6) for a, b in zip(usage[:2], now[:2], strict=True))
    outcome.peak_memory = now[2]
    return ended


def _prepare(task: Task) -> dict[str, str | None]:
    """Make folder, environment, path and chance those of the job; what the variables were before."""
    before = {name: os.environ.get(name) for name in task.env}
    os.environ.update(task.env)
    if task.path:
        sys.path[:] = task.path
    with contextlib.suppress(OSError):  # it has just been removed: any folder will do
        os.chdir(task.cwd)
    random.seed()
    if "numpy" in sys.modules and hasattr(sys.modules["numpy"], "random"):
        sys.modules["numpy"].random.seed()
    return before


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # the job may have closed or replaced it
            stream.flush()


def _load(task: Task, loaded: dict[str, tuple[Callable[..., Any], Any]]) -> tuple[Callable[..., Any], Any, Any, Any]:
    try:
        if task.function not in loaded:
            while len(loaded) >= FUNCTIONS:
                del loaded[next(iter(loaded))]
            loaded[task.function] = payload.loads(task.code)
        args, kwargs = payload.loads(task.args)
    except BaseException as error:
        raise _Halt(_unloadable(task, error)) from error
    return *loaded[task.function], args, kwargs


def _unloadable(task: Task, error: BaseException) -> Failure:
    failure = _failure("cannot_load", error, skip=2)
    failure.message = f"{task.name} or its arguments cannot be loaded in the job: {failure.message}"
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    failure.advice = (
        f"make module {missing!r} importable: the job sees the sys.path of the client"
        if missing
        else "check that everything it refers to can be imported and unpickled"
    )
    return failure


def _call(function: Callable[..., Any], args: Any, kwargs: Any, task: Task, ended: Ended, retry_on: Any) -> Any:
    profiler = None
    if task.profile:
        import cProfile

        profiler = cProfile.Profile()
    try:
        return profiler.runcall(function, *args, **kwargs) if profiler else function(*args, **kwargs)
    except BaseException as error:
        assert ended.outcome is not None
        ended.outcome.retry = not isinstance(error, SystemExit) and (not retry_on or isinstance(error, tuple(retry_on)))
        raise _Halt(_raised(error, skip=1 + bool(profiler))) from error
    finally:
        if profiler:
            ended.profile = _report(profiler)


def _pack(value: Any) -> bytes:
    try:
        try:
            return b"".join(payload.dumps(value, pickle.dumps))
        except Exception:  # noqa: BLE001  what pickle refuses (a lambda, a class of __main__), cloudpickle may take
            return b"".join(payload.dumps(value, cloudpickle.dumps))
    except BaseException as error:
        from cloud import _trace

        failure = _failure("cannot_save", error, skip=1)
        failure.message, _, advice = str(_trace.explained(error, [("result", value)])).partition("\nTIP: ")
        failure.advice = advice or "return plain data: numbers, strings, lists, dicts, arrays"
        failure.traceback, failure.exception = "", b""
        raise _Halt(failure) from error


def _raised(error: BaseException, skip: int) -> Failure:
    if isinstance(error, SystemExit):
        return _exited(error)
    if isinstance(error, MemoryError):
        return _failure("out_of_memory", error, skip)
    failure = _failure("exception", error, skip)
    if isinstance(error, CloudException) and "exit_code" in error.facts:  # a command ended so: no line of Python did it
        failure.cause, failure.message, failure.traceback = "exit", error.parameter, ""
        failure.exit_code, failure.advice = error.facts["exit_code"], error.hint or ""
    return failure


def _exited(error: SystemExit) -> Failure:
    code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    said = f" ({error.code})" if isinstance(error.code, str) else ""
    return Failure(
        cause="exit",
        message=f"the job called sys.exit with code {code}{said}",
        exit_code=code,
        type="SystemExit",
        traceback=_traceback(error, 1),
        advice="return from the function instead of exiting",
    )


def _failure(cause: str, error: BaseException, skip: int) -> Failure:
    kind = type(error)
    qualified = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        said = str(error)
    except Exception as broken:  # noqa: BLE001  the user's class may do anything
        said = f"<whose text raises {type(broken).__name__}>"
    return Failure(
        cause=cause,
        message=f"{qualified}: {said}" if said else qualified,
        type=qualified,
        traceback=_traceback(error, skip),
        exception=payload.dump_exception(error, cloudpickle.dumps),
    )


def _traceback(error: BaseException, skip: int) -> str:
    trace = error.__traceback__
    for _ in range(skip):  # the frames of this file say nothing to the user
        trace = trace.tb_next if trace is not None and trace.tb_next is not None else trace
    try:
        return "".join(traceback.format_exception(type(error), error, trace))
    except Exception as broken:  # noqa: BLE001  the user's class may do anything
        return f"<a traceback that cannot be shown: {broken!r}>"


def _report(profiler: Any) -> str:
    import io
    import pstats

    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("cumulative").print_stats().print_callees()
    return text.getvalue()


def _usage() -> tuple[float, float, int]:
    own, below = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = _peak() or own.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return own.ru_utime + below.ru_utime, own.ru_stime + below.ru_stime, peak


def _forget_peak() -> None:
    """Have the kernel begin a new high-water mark of memory: the one of ``getrusage`` is of all jobs, and of our parent."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "wb") as file:
        file.write(b"5")


def _peak() -> int:
    """Bytes held at most since :func:`_forget_peak`; 0 where the system does not tell."""
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
