"""Waiting for local jobs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from cloud._backend import Patience
from cloud._local_jobs import LocalJob
from picloud.wire.error import CloudTimeoutError


class Watcher:
    """Somebody who waits for jobs: those that ended, in the order of ending, not yet told.

    Made, and told of ends, under ``lock``, the one that guards the ledger.
    """

    def __init__(self, lock: threading.RLock, jobs: Iterable[LocalJob]) -> None:
        self._changed = threading.Condition(lock)
        self._ended: deque[LocalJob] = deque()
        self._missing: set[int] = set()
        for job in jobs:
            if job.final():
                self._ended.append(job)
            else:
                self._missing.add(job.jid)

    def tell(self, job: LocalJob) -> None:
        """This job became final."""
        if job.jid in self._missing:
            self._missing.discard(job.jid)
            self._ended.append(job)
            self._changed.notify_all()

    def wait(self, patience: Patience) -> LocalJob | None:
        """The next one that ended; None after the last. Raises CloudTimeoutError when patience runs out before."""
        with self._changed:
            while not self._ended:
                if not self._missing:
                    return None
                seconds = patience()
                if (seconds is not None and seconds <= 0) or not self._changed.wait(seconds):
                    what = "the job has" if len(self._missing) == 1 else f"{len(self._missing)} jobs have"
                    raise CloudTimeoutError(f"{what} not finished in the time allowed", hint="ask again, or kill what runs on")
            return self._ended.popleft()
