"""Who waits for which jobs: a subscriber is a set of ranges, what it has seen, and a bounded queue of frames.

The store is the truth; the hub only shortens the way. A subscriber first listens, then reads what is already finished
from the store, so nothing falls between. One that reads too slowly loses its queue and re-reads the store.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from picloud.wire.error import Unavailable
from picloud.wire.job import Failure
from picloud.wire.message import Finished, Ranges, encode

QUEUE_BYTES = 4 << 20
"""A subscriber with more unsent bytes than this falls behind and re-reads the store."""
NARROW = 1024
"""Subscribers to at most so many jobs are found by jid, wider ones by looking at their ranges."""

RECENT = 20_000
"""Jobs of small submissions that are remembered."""
RECENT_BYTES = 1000
"""Larger results are read from the store."""


class Watcher:
    """One result stream: which jids are wanted, which were already queued for sending."""

    def __init__(self, account: int, ranges: Ranges, payload: bool) -> None:
        self.account, self.payload = account, payload
        self.ranges = _merge(ranges)
        self._firsts = [first for first, _ in self.ranges]
        self._seen = [bytearray(count) for _, count in self.ranges]
        self.left = sum(count for _, count in self.ranges)
        self.narrow = self.left <= NARROW
        self.frames: list[bytes] = []
        self._queued = 0
        self.behind = False
        self.closed = False
        self.wake = asyncio.Event()

    def overlaps(self, first: int, count: int) -> bool:
        """Whether one of these jids is among the wanted ones."""
        return any(first < start + size and start < first + count for start, size in self.ranges)

    def offer(self, finished: list[Finished]) -> None:
        """Queue those of ``finished`` that are wanted and new."""
        if self._queued > QUEUE_BYTES:
            self.behind = True
            return
        news = []
        for item in finished:
            at = bisect_right(self._firsts, item.jid) - 1
            place = item.jid - self._firsts[at]
            if at >= 0 and place < len(seen := self._seen[at]) and not seen[place]:
                seen[place] = 1
                news.append(item)
        if not news:
            return
        self.left -= len(news)
        if not self.payload:
            news = [Finished(item.jid, item.status) for item in news]
        body = encode(news)
        self.frames.append(len(body).to_bytes(4, "big") + body)
        self._queued += len(body)
        self.wake.set()

    def fail(self, failure: Failure) -> None:
        """End the stream with a word: a finished "job 0" carries why nothing more will come."""
        body = encode([Finished(0, 0, failure=failure)])
        self.frames.append(len(body).to_bytes(4, "big") + body)
        self.left = 0
        self.wake.set()

    def take(self) -> bytes:
        """Everything queued, as bytes to send."""
        sent, self.frames, self._queued = b"".join(self.frames), [], 0
        self.wake.clear()
        return sent

    def unseen(self) -> Ranges:
        """The ranges that still miss something, cut to where the first and last missing jid is."""
        out = []
        for first, seen in zip(self._firsts, self._seen, strict=True):
            low = seen.find(0)
            if low >= 0:
                out.append((first + low, seen.rfind(0) - low + 1))
        return out


class Bell:
    """Rings when a job has printed, was sampled, or has ended: whoever follows it looks again."""

    def __init__(self, jid: int) -> None:
        self.jid = jid
        self.news = asyncio.Event()
        self.closed = False  # the server stops, or the listener has gone


class Follower(Protocol):
    """A client's line: the ends of jobs that it submitted are told there unasked, once."""

    def offer(self, finished: list[Finished]) -> None:
        """Tell ends of jobs."""

    def lose(self) -> None:
        """An end cannot be told here: the client has to ask."""


class Hub:
    """All subscribers of this process, and what became of the newest small submissions.

    The memory of the newest jobs spares a call and its result two questions to the store. It is only trusted for jobs
    that this process itself accepted and has heard of ever since.
    """

    def __init__(self) -> None:
        self._recent: OrderedDict[int, tuple[int, Finished | None]] = OrderedDict()
        self._narrow: dict[int, list[Watcher]] = {}
        self._wide: dict[int, set[Watcher]] = {}
        self._all: set[Watcher] = set()
        self._followed: dict[int, Follower] = {}
        self._bells: dict[int, set[Bell]] = {}
        self._writing: dict[int, int] = {}  # jid -> acts under way that add to its output
        self._closed = False

    def expect(self, account: int, first: int, count: int) -> None:
        """These jobs were just accepted."""
        if count <= NARROW:
            for jid in range(first, first + count):
                self._recent[jid] = (account, None)
            while len(self._recent) > RECENT:
                self._recent.popitem(last=False)

    def recall(self, watcher: Watcher) -> bool:
        """Offer what is remembered; False where the store has to be asked."""
        if not watcher.narrow:
            return False
        found = [self._recent.get(jid) for first, count in watcher.ranges for jid in range(first, first + count)]
        if not all(known is not None and known[0] == watcher.account for known in found):
            return False
        watcher.offer([known[1] for known in found if known is not None and known[1] is not None])
        return True

    def forget(self) -> None:
        """Remember nothing: what was known may have changed."""
        self._recent.clear()

    def _remember(self, item: Finished) -> None:
        known = self._recent.get(item.jid)
        if known is not None:
            if item.data is not None and len(item.data) > RECENT_BYTES:
                del self._recent[item.jid]
            else:
                self._recent[item.jid] = (known[0], item)

    def add(self, watcher: Watcher) -> None:
        """Begin to tell a subscriber.

        Raises:
            Unavailable: the server stops: the next one will tell it.
        """
        if self._closed:
            raise Unavailable("the server stops", hint="ask again")
        self._all.add(watcher)
        if not watcher.narrow:
            self._wide.setdefault(watcher.account, set()).add(watcher)
            return
        for first, count in watcher.ranges:
            for jid in range(first, first + count):
                self._narrow.setdefault(jid, []).append(watcher)

    def remove(self, watcher: Watcher) -> None:
        self._all.discard(watcher)
        self._wide.get(watcher.account, set()).discard(watcher)
        if watcher.narrow:
            for first, count in watcher.ranges:
                for jid in range(first, first + count):
                    self._forget(jid, watcher)

    def follow(self, follower: Follower, jid: int) -> None:
        """Tell the end of a job there; only for one that was just accepted."""
        self._followed[jid] = follower

    def unfollow(self, jids: Iterable[int]) -> None:
        """A follower has gone."""
        for jid in jids:
            self._followed.pop(jid, None)

    # -- for those who read along ---------------------------------------------------------------------------------

    def listen(self, jid: int) -> Bell:
        """A bell that rings at all news of a job.

        Raises:
            Unavailable: the server stops: the next one will tell it.
        """
        if self._closed:
            raise Unavailable("the server stops", hint="ask again")
        bell = Bell(jid)
        self._bells.setdefault(jid, set()).add(bell)
        return bell

    def hang_up(self, bell: Bell) -> None:
        """Nobody listens to it any more."""
        bells = self._bells.get(bell.jid, set())
        bells.discard(bell)
        if not bells:
            self._bells.pop(bell.jid, None)

    def ring(self, jid: int) -> None:
        """There is news of a job."""
        for bell in self._bells.get(jid, ()):
            bell.news.set()

    def writing(self, jids: Iterable[int], begins: bool) -> None:
        """Output of these jobs is about to be written, or has been."""
        for jid in jids:
            count = self._writing.get(jid, 0) + (1 if begins else -1)
            if count > 0:
                self._writing[jid] = count
            else:
                self._writing.pop(jid, None)
            if not begins:
                self.ring(jid)

    def is_writing(self, jid: int) -> bool:
        """Whether output of a job is on its way into the store."""
        return jid in self._writing

    # -- ends of jobs ---------------------------------------------------------------------------------------------

    def publish(self, finished: list[Finished]) -> None:
        """Tell everybody; call only after the commit that finished these jobs."""
        if self._bells:
            for item in finished:
                self.ring(item.jid)
        if self._followed:
            for item in finished:
                if (follower := self._followed.pop(item.jid, None)) is not None:
                    follower.offer([item])
        if self._recent:
            for item in finished:
                self._remember(item)
        if self._narrow:
            per: dict[int, tuple[Watcher, list[Finished]]] = {}
            for item in finished:
                for watcher in self._narrow.get(item.jid, ()):
                    per.setdefault(id(watcher), (watcher, []))[1].append(item)
            for watcher, news in per.values():
                watcher.offer(news)
        for watchers in self._wide.values():
            for watcher in watchers:
                watcher.offer(finished)

    def recheck(self, closed: Ranges) -> None:
        """Jobs in these ranges became final without a result at hand: who watches them reads the store again."""
        if closed:
            self.forget()
            for jid in self._bells:
                if any(first <= jid < first + count for first, count in closed):
                    self.ring(jid)
            for watcher in self._all:
                if any(watcher.overlaps(first, count) for first, count in closed):
                    watcher.behind = True
                    watcher.wake.set()
            for jid, follower in list(self._followed.items()):
                if any(first <= jid < first + count for first, count in closed):
                    follower.lose()

    def close(self) -> None:
        """End every stream, now and from now on: clients come back to the next server."""
        self._closed = True
        for watcher in self._all:
            watcher.closed = True
            watcher.wake.set()
        for bells in self._bells.values():
            for bell in bells:
                bell.closed = True
                bell.news.set()

    def _forget(self, jid: int, watcher: Watcher) -> None:
        found = self._narrow.get(jid)
        if found and watcher in found:
            found.remove(watcher)
            if not found:
                del self._narrow[jid]


def _merge(ranges: Ranges) -> Ranges:
    out: list[tuple[int, int]] = []
    for first, count in sorted((first, count) for first, count in ranges if count > 0):
        if out and first <= out[-1][0] + out[-1][1]:
            low = out[-1][0]
            out[-1] = (low, max(out[-1][1], first + count - low))
        else:
            out.append((first, count))
    return out
