"""The end of a worker: what runs gets a while, then it goes back; nothing is left behind and nothing lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from picloud.wire.job import Cause, Failure

if TYPE_CHECKING:
    from picloud.worker.pool import Pool

LAST_WORDS = 3.0  # seconds for the server to acknowledge
LOOK = 0.02  # seconds between two looks


def wait(pool: Pool, deadline: float) -> None:
    """End the loop once nothing is held and all is acknowledged.

    Args:
        deadline: monotonic time after which what still runs is ended.
    """
    now = time.monotonic()
    if pool.held and now >= deadline:
        _abandon(pool)
    if (not pool.held and pool.reports.settled) or now >= deadline + LAST_WORDS:
        pool.end()
        pool.loop.stop()
    else:
        pool.loop.after(LOOK, lambda: wait(pool, deadline))


def _abandon(pool: Pool) -> None:
    """End what still runs: it goes back, or where it must not run twice the server is told."""
    pool.strike()
    back = []
    for lease in list(pool.held.values()):
        if pool.kit.specs[lease.submission].options.restartable:
            back.append(lease)
        else:
            advice = "run it again if its effects may repeat"
            failure = Failure("worker_lost", "The worker was stopped while the job ran", advice)
            pool.finish(lease, Cause.worker_lost, failure)
    pool.give_back(back)
