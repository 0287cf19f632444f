"""Results at the client: waiting, order, errors, and a small cache."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any

from cloud._backend import Backend
from cloud._jids import Asked, Wanted
from cloud._progress import Bar
from picloud.wire import payload
from picloud.wire.error import JobError
from picloud.wire.job import FIRST_FINAL, Failure, Status
from picloud.wire.message import Finished, Ranges

_DONE = int(Status.done)
WINDOW = 1024
"""Jobs that an ordered ``iresult`` asks for at a time, so that a slow first one does not pile up the rest."""


HELD = 64 << 20
"""Bytes of results that came early; above it only the next one is asked for."""


class Cache:
    """Ends of jobs seen before, by jid, at most so many bytes."""

    def __init__(self, size: int) -> None:
        self.size, self.held = size, 0
        self._found: OrderedDict[int, Finished] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, jid: int) -> Finished | None:
        return self._found.get(jid)

    def put(self, one: Finished) -> None:
        weight = _weight(one)
        if weight > self.size // 4:
            return
        with self._lock:
            if one.jid not in self._found:
                self._found[one.jid] = one
                self.held += weight
            while self.held > self.size:
                self.held -= _weight(self._found.popitem(last=False)[1])

    def drop(self, ranges: Ranges) -> None:
        """Forget deleted jobs."""
        with self._lock:
            for first, count in ranges:
                for jid in [jid for jid in self._found if first <= jid < first + count]:
                    self.held -= _weight(self._found.pop(jid))

    def clear(self) -> None:
        with self._lock:
            self._found.clear()
            self.held = 0


def _weight(one: Finished) -> int:
    return 200 + len(one.data or b"") + (len(one.failure.exception) if one.failure else 0)


class Deadline:
    """How long the caller still waits; a ``cloud._backend.Patience``.

    Args:
        seconds: None = for ever.
    """

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
            raise TypeError(f"timeout must be a number of seconds or None, not {seconds!r}")
        if seconds is not None and seconds != seconds:
            raise ValueError("timeout must be a number of seconds or None, not nan")
        self.seconds, self.end = seconds, 0.0
        self.restart()

    def restart(self) -> None:
        """The time begins anew: it is for each step of an iteration."""
        # Time enough for one answer: with timeout=0, what has finished already is still returned.
        self.end = float("inf") if self.seconds is None else time.monotonic() + max(self.seconds, 0.2)

    def __call__(self) -> float | None:
        return None if self.seconds is None else self.end - time.monotonic()


def value(one: Finished) -> Any:
    """The value that a job returned."""
    try:
        return payload.loads(one.data or b"")
    except Exception as error:
        made = JobError(
            f"its result cannot be loaded here: {type(error).__name__}: {error}",
            jid=one.jid,
            status="done",
            hint="import here what the result is made of, or return plain data",
        )
        made.__cause__ = error
        raise made from error


def error(one: Finished) -> JobError:
    """The end of a job that returned nothing, as an exception with the original one as its cause."""
    status = Status(one.status).name
    failure = one.failure or Failure(cause=status, message=f"it was {status}" if one.status != Status.error else "it failed")
    made = JobError("\n\n".join(_said(failure)), jid=one.jid, status=status, hint=failure.advice or None)
    made.failure = failure
    if failure.exception:
        try:
            cause = payload.loads(failure.exception)
        except Exception as broken:  # noqa: BLE001 loading runs user code
            made.add_note(f"the original exception cannot be loaded here: {broken!r}")
        else:
            made.__cause__ = cause if isinstance(cause, BaseException) else None
    return made


def _said(failure: Failure) -> Iterator[str]:
    yield failure.message
    if failure.traceback:
        yield f"Traceback in the job:\n{failure.traceback.rstrip()}"
    if failure.stacks:
        yield f"Python stacks at the end:\n{failure.stacks.rstrip()}"
    elif failure.log_tail and not failure.traceback:
        yield f"Its last output:\n{failure.log_tail.rstrip()}"


class Board:
    """Values by jid: a list where the jobs are one range, so that a million of them take little room."""

    def __init__(self, asked: Asked) -> None:
        self.asked, self.first = asked, asked.ranges[0][0]
        self.plain = len(asked.ranges) == 1
        self.values: Any = [None] * len(asked) if self.plain else {}

    def put(self, jid: int, value: Any) -> None:
        self.values[jid - self.first if self.plain else jid] = value

    def ordered(self) -> list[Any]:
        """One value for each jid that was asked for, in that order."""
        values: list[Any] = self.values if self.plain else [self.values[jid] for jid in self.asked]
        return values


def gather(backend: Backend, cache: Cache, asked: Asked, deadline: Deadline, ignore_errors: bool) -> list[Any]:
    """The values of all jobs; ``ignore_errors``: the exception in the place of a value.

    Raises:
        JobError: a job failed; when several were asked for, it tells how many did.
        CloudTimeoutError: not all finished in time.
    """
    if not asked.ranges:
        return []
    board = Board(asked)
    with Bar(len(asked)) as bar:
        for one in ends(backend, cache, asked.unique(), deadline):
            bar.step()
            if one.status == _DONE:
                board.put(one.jid, value(one))
            elif ignore_errors:
                board.put(one.jid, error(one))
            else:
                raise summary(backend, asked, one)
    return board.ordered()


def wait(backend: Backend, asked: Asked, deadline: Deadline, ignore_errors: bool) -> None:
    """Wait for the end of all jobs, without their values; raises as :func:`gather`."""
    ranges = asked.unique()
    with Bar(len(asked)) as bar, closing(_closable(backend.finished(ranges, payload=False, patience=deadline))) as found:
        for one in found:
            bar.step()
            if one.status != _DONE and not ignore_errors:
                raise summary(backend, asked, next(ends(backend, None, [(one.jid, 1)], deadline)))


def ends(backend: Backend, cache: Cache | None, ranges: Ranges, deadline: Callable[[], float | None]) -> Iterator[Finished]:
    """The end of each job once, those in the cache first."""
    missing = ranges
    if cache is not None and cache.held:
        missing = []
        for first, count in ranges:
            for jid in range(first, first + count):
                known = cache.get(jid)
                if known is not None:
                    yield known
                elif missing and missing[-1][0] + missing[-1][1] == jid:
                    missing[-1] = (missing[-1][0], missing[-1][1] + 1)
                else:
                    missing.append((jid, 1))
    if not missing:
        return
    with closing(_closable(backend.finished(missing, patience=deadline))) as found:
        for one in found:
            if cache is not None:
                cache.put(one)
            yield one


def _closable(found: Iterator[Finished]) -> Any:
    return found if hasattr(found, "close") else (one for one in found)


def summary(backend: Backend, asked: Asked, one: Finished) -> JobError:
    """The failure of one job; among several, how many failed so far, with the first three."""
    first = error(one)
    if len(asked) == 1:
        return first
    states = backend.statuses(asked.unique())
    failed = sum(states.count(state) for state in range(FIRST_FINAL, len(Status)) if state != _DONE)
    running = sum(states.count(state) for state in range(FIRST_FINAL))
    jids = (jid for jid, state in zip(Asked(asked.unique(), False), states, strict=True) if state > _DONE)
    lines = [
        f"  job {found.jid}: {Status(found.status).name}: {error(found).parameter.splitlines()[0]}"
        for found in sorted(ends(backend, None, [(jid, 1) for jid in islice(jids, 3)], lambda: 60.0), key=lambda f: f.jid)
    ]
    rest = f" so far ({running} have not finished)" if running else ""
    text = f"{failed} of {len(asked)} jobs failed{rest}:\n" + "\n".join(lines)
    made = JobError(f"{text}\n\nJob {one.jid}: {first.parameter}", status=first.status, hint=first.hint)
    made.jid, made.failure, made.__cause__ = None, first.failure, first.__cause__
    made.facts = {"failed": failed, "of": len(asked), "unfinished": running, "jid": one.jid}
    return made


class Results(Iterator[Any]):
    """What ``iresult`` returns. An error is raised at its turn, and the iteration can go on after it."""

    def __init__(self, backend: Backend, cache: Cache, asked: Asked, timeout: float | None, ignore_errors: bool) -> None:
        self.backend, self.cache, self.ignore_errors = backend, cache, ignore_errors
        self.deadline = Deadline(timeout)
        self.stream: Iterator[Finished] | None = None
        self.queue = iter(asked)
        self.window: list[int] = []
        self.found: dict[int, Finished] = {}
        self.repeats = False
        self.held = 0

    def __next__(self) -> Any:
        self.deadline.restart()
        if not self.window:
            self._fill()
        jid = self.window[-1]
        while jid not in self.found:
            one = _next(self)
            self.found[one.jid] = one
            self.held += _weight(one)
            if self.held > HELD:
                self.stream = None  # read no further: the next one alone is asked for
        self.window.pop()
        one = self.found[jid]
        if not self.repeats:
            self.held -= _weight(self.found.pop(jid))
        if one.status != _DONE and not self.ignore_errors:
            raise error(one)
        return value(one) if one.status == _DONE else error(one)

    def _fill(self) -> None:
        self.window = list(islice(self.queue, WINDOW))[::-1]
        if not self.window:
            raise StopIteration
        self.found, self.held = {}, 0
        self.repeats = len(set(self.window)) < len(self.window)

    def lacking(self) -> Ranges:
        """Jobs of the window that have not come, or the next one when there is no room for more."""
        if self.held > HELD:
            return [(self.window[-1], 1)]
        return Asked([(jid, 1) for jid in self.window if jid not in self.found], False).unique()


class AsTheyEnd(Iterator[tuple[int, Any]]):
    """``iresult(ordered=False)``: (jid, value) as the jobs end; errors as in :class:`Results`."""

    def __init__(self, backend: Backend, cache: Cache, asked: Asked, timeout: float | None, ignore_errors: bool) -> None:
        self.backend, self.cache, self.ignore_errors = backend, cache, ignore_errors
        self.deadline = Deadline(timeout)
        self.stream: Iterator[Finished] | None = None
        self.wanted = Wanted(asked.unique())

    def __next__(self) -> tuple[int, Any]:
        if not self.wanted.left:
            raise StopIteration
        self.deadline.restart()
        one = _next(self)
        self.wanted.mark(one.jid)
        if one.status != _DONE and not self.ignore_errors:
            raise error(one)
        return one.jid, value(one) if one.status == _DONE else error(one)

    def lacking(self) -> Ranges:
        """Jobs that have not come."""
        return self.wanted.lacking()


def _next(reader: Results | AsTheyEnd) -> Finished:
    """The next end of a job; a reading that was broken off (by a timeout) is begun again."""
    while True:
        if reader.stream is None:
            reader.stream = ends(reader.backend, reader.cache, reader.lacking(), reader.deadline)
        try:
            one = next(reader.stream, None)
        except BaseException:
            reader.stream = None
            raise
        if one is not None:
            return one
        reader.stream = None
