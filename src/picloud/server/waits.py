"""Jobs that wait for jobs: what they wait for goes first, and where nothing can ever go on, the newest is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from picloud.server.fleet import Worker
from picloud.server.hub import Watcher
from picloud.server.scheduler import Host, KindView
from picloud.wire.job import Failure
from picloud.wire.message import Finished

AWAITED = 2000
"""Awaited jids offered first at each lease."""


class Wait:
    """One job that waits for others: while it does, its slot is lent and those others go first."""

    def __init__(self, worker: Worker, jid: int, awaited: list[int], watcher: Watcher) -> None:
        self.worker, self.jid, self.awaited, self.watcher = worker, jid, awaited, watcher


class Waits:
    """All such waits of this process.

    Attributes:
        jids: how many wait for each awaited job; the newest last.
    """

    def __init__(self) -> None:
        self.jids: dict[int, int] = {}
        self._waits: list[Wait] = []  # the newest last

    def first(self) -> list[int]:
        """The jids that go before everything else, the newest ones first."""
        return list(self.jids)[-AWAITED:][::-1]

    def begin(self, worker: Worker, jid: int, watcher: Watcher) -> Wait:
        """A running job waits for what its watcher has not seen."""
        jids = [jid for first, count in watcher.unseen() for jid in range(first, first + min(count, AWAITED))]
        for each in jids:
            self.jids[each] = self.jids.pop(each, 0) + 1
        wait = Wait(worker, jid, jids, watcher)
        self._waits.append(wait)
        return wait

    def end(self, wait: Wait) -> None:
        """It waits no more."""
        self._waits.remove(wait)
        for jid in wait.awaited:
            left = self.jids.get(jid, 0) - 1
            if left > 0:
                self.jids[jid] = left
            else:
                self.jids.pop(jid, None)

    def ended(self, finished: Iterable[Finished]) -> None:
        """Nobody has to wait for these any more."""
        if self.jids:
            for item in finished:
                self.jids.pop(item.jid, None)

    def break_deadlock(self, view: KindView, target: int, host: Host, relieve: Callable[[], bool]) -> None:
        """Every slot waits, more is ready, and RAM holds no further interpreter: the newest waiter is told.

        Args:
            relieve: has a job end that waits for messages; False where none does.
        """
        if not (view.ready and view.lent and view.lent >= view.busy and target <= view.slots and host.spare_slots <= 0):
            return
        if relieve():
            return
        newest = next((w for w in reversed(self._waits) if w.worker.kind.id == view.kind and not w.watcher.closed), None)
        if newest is not None:
            newest.watcher.fail(
                Failure(
                    "none",
                    f"deadlock: {view.lent} jobs wait for other jobs, and free memory holds no further interpreter",
                    "wait in fewer jobs at once: let the caller collect results, or use _depends_on",
                    facts={"jid": newest.jid, "waiting": view.lent, "ready": view.ready},
                )
            )
