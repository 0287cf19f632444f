"""One thread that waits for file descriptors, times and calls from other threads, and acts on them in turn.

Everything that holds leases runs on it, so nothing of that needs a lock. Work that may block (HTTP, unpacking) goes to a
thread through :meth:`Loop.work` and comes back as a call.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

log = logging.getLogger(__name__)

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
READ_ONCE = select.EPOLLIN | select.EPOLLET
"""Tell of new data once, not as long as it lies there."""
Act = Callable[[], Any]


class Timer:
    """A call at a time to come; ``cancel`` it at will."""

    __slots__ = ("act",)

    def __init__(self, act: Act) -> None:
        self.act: Act | None = act

    def cancel(self) -> None:
        """Do not call."""
        self.act = None


class Loop:
    """See the module. ``before_wait`` is called whenever there is nothing left to do at once and says for how long;
    ``after_turn`` after
    every turn."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._acts: dict[int, Act] = {}
        self._calls: deque[Act] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="picloud-work")
        self._thread = threading.current_thread()
        self.before_wait: Callable[[], float] = lambda: 60.0
        self.after_turn: Act = lambda: None
        self.running = True
        self.watch(self._wake, self._woken)

    def watch(self, fd: int, act: Act, events: int = READ) -> None:
        """Call ``act`` when ``fd`` is ready; again for the same fd changes what is waited for."""
        if fd in self._acts:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._acts[fd] = act

    def forget(self, fd: int) -> None:
        """Stop watching ``fd``; before it is closed."""
        if self._acts.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def after(self, seconds: float, act: Act) -> Timer:
        """Call ``act`` once, so many seconds from now."""
        timer = Timer(act)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._count), timer))
        return timer

    def call(self, act: Act) -> None:
        """Have ``act`` called on the loop; from any thread."""
        self._calls.append(act)
        os.eventfd_write(self._wake, 1)

    def ask(self, act: Callable[[], Any], timeout: float = 30.0) -> Any:
        """The answer of ``act``, called on the loop; from another thread.

        Raises:
            TimeoutError: the loop did not answer in ``timeout`` seconds.
        """
        answer: Future[Any] = Future()

        def run() -> None:
            try:
                answer.set_result(act())
            except BaseException as error:
                answer.set_exception(error)

        self.call(run)
        return answer.result(timeout)

    def work(self, act: Callable[[], Any], then: Callable[[Any, BaseException | None], Any]) -> None:
        """Run ``act`` in a thread, then ``then(answer, error)`` on the loop."""

        def run() -> None:
            try:
                answer, error = act(), None
            except BaseException as raised:
                answer, error = None, raised
            self.call(lambda: then(answer, error))

        self._pool.submit(run)

    def run(self) -> None:
        """Turn until :meth:`stop`."""
        while self.running:
            events = self._epoll.poll(0)
            if not events:
                events = self._epoll.poll(min(self.before_wait(), self._due()))
            for fd, _ in events:
                act = self._acts.get(fd)
                if act is not None:
                    act()
            self._times()
            self.after_turn()

    def stop(self) -> None:
        """End :meth:`run` after this turn."""
        self.running = False

    def close(self) -> None:
        """Let go of the threads; what they still do is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _due(self) -> float:
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else 60.0

    def _times(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            timer = heapq.heappop(self._timers)[2]
            if timer.act is not None:
                timer.act()

    def _woken(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return
        while self._calls:
            self._calls.popleft()()
