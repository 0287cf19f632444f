"""Small questions that threads ask at the same time ride in one request.

The first ones go at once. Those that come while WAYS requests are under way go together with the next, when one is back: nobody
waits for a clock, and nobody who is alone waits at all. Eight in one request cost client and server little more than one.
A request that is refused has done nothing; so each of its riders asks again by itself, and is told its own error.
"""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from picloud.wire.error import CloudException
from picloud.wire.link import Link

WAYS = 2
"""Requests under way at once: while the server works on one, the next is made."""
MOST, MOST_BYTES = 64, 1 << 18
"""Riders, and bytes of theirs: so many a server stores without more ado."""
Q = TypeVar("Q")
A = TypeVar("A")


class _Rider(Generic[Q, A]):
    """One question on its way."""

    def __init__(self, question: Q) -> None:
        self.question = question
        self.sends = False
        self.gate = threading.Lock()  # opened when there is an answer, or when it is the one to send
        self.gate.acquire()
        self.answers: Sequence[A] = ()  # one, if it has come
        self.error: CloudException | None = None


class Ride(Generic[Q, A]):
    """The way of one kind of questions to one server.

    Args:
        ask: sends questions in one request; their answers, in order. It raises what befell all of them.
        key: no two questions of one request have the same; None = any number may.
        size: bytes of a question.
    """

    def __init__(self, ask: Callable[[list[Q]], Sequence[A]], key: Callable[[Q], Hashable], size: Callable[[Q], int]) -> None:
        self._ask, self._key, self._size = ask, key, size
        self._lock = threading.Lock()
        self._waiting: list[_Rider[Q, A]] = []
        self._free = WAYS

    def ask(self, question: Q) -> A:
        """The answer to one question, which may be asked twice.

        Raises:
            CloudException: as when it were asked alone.
        """
        mine = _Rider[Q, A](question)
        try:
            with self._lock:
                self._waiting.append(mine)
                mine.sends = self._free > 0
                self._free -= mine.sends
            if not mine.sends:
                mine.gate.acquire()
            if mine.sends:
                self._send(self._board(mine))
        finally:
            self._leave(mine)
        if mine.error is not None:
            raise copy.copy(mine.error)  # others may be raising it too
        return mine.answers[0] if mine.answers else self._ask([question])[0]

    def _board(self, mine: _Rider[Q, A]) -> list[_Rider[Q, A]]:
        """Those that go now: as many as one request takes, no two of one key."""
        taken, left, size, keys = [mine], list[_Rider[Q, A]](), self._size(mine.question), {self._key(mine.question)}
        with self._lock:
            for rider in self._waiting:
                key, more = self._key(rider.question), self._size(rider.question)
                full = len(taken) == MOST or size + more > MOST_BYTES or (key is not None and key in keys)
                if full or rider.sends:
                    left.append(rider)
                else:
                    taken.append(rider)
                    size += more
                keys.add(key)
            self._waiting = [rider for rider in left if rider is not mine]
        return taken

    def _send(self, riders: list[_Rider[Q, A]]) -> None:
        try:
            answers = self._ask([one.question for one in riders])
            for rider, answer in zip(riders, answers, strict=True):
                rider.answers = (answer,)
        except CloudException as error:
            for rider in riders:
                if error.retry or len(riders) == 1:  # a server that is away answers nobody
                    rider.error = error
        finally:
            for rider in riders:
                rider.gate.release()

    def _leave(self, mine: _Rider[Q, A]) -> None:
        """Whatever happened, the next one sends."""
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
            if mine.sends:
                following = next((rider for rider in self._waiting if not rider.sends), None)
                if following is None:
                    self._free += 1
                else:
                    following.sends = True
                    following.gate.release()


class Rides(Generic[Q, A]):
    """The :class:`Ride` to the server that is used now, by this process.

    Args:
        make: makes that of a link.
    """

    def __init__(self, make: Callable[[Link], Ride[Q, A]]) -> None:
        self._make = make
        self._made: tuple[Link, int, Ride[Q, A]] | None = None

    def of(self, link: Link) -> Ride[Q, A]:
        """The one to this server; a forked child has its own, for who was sending is a thread of its parent."""
        made, pid = self._made, os.getpid()
        if made is None or made[0] is not link or made[1] != pid:
            made = self._made = (link, pid, self._make(link))
        return made[2]
