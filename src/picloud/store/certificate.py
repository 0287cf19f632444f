"""The words for jobs that ended without a report from their runner; nothing is stored for these but the cause."""

from __future__ import annotations

from picloud.wire.job import Cause, Failure

_WORDS = {
    Cause.killed: ("the job was killed by its owner", "submit it again, or `picloud rerun JID`"),
    Cause.timeout: ("the job ran longer than its _max_runtime", "raise _max_runtime, or split the work"),
    Cause.not_sent: ("the client vanished before it sent this job", "submit it again; results of the others are kept"),
    Cause.spending_limit: ("the account's spending limit was reached", "raise the limit, then rerun the job"),
    Cause.worker_lost: ("the worker that ran it was lost", "rerun it; `picloud status` shows the workers"),
    Cause.signal: ("the job's process was killed by a signal each time it ran", "look at its memory use, then rerun it"),
}


def certificate(cause: Cause, blame: int | None = None) -> Failure:
    """The failure of a job that ended without a report from its runner.

    Args:
        cause: why.
        blame: the job that failed first, where the cause is ``dependency``.
    """
    if cause == Cause.dependency:
        which = "a job" if blame is None else f"job {blame}"
        return Failure(cause.name, f"{which} that it depends on did not end well",
                       f"look at {which}; `_depends_on_errors='ignore'` runs it all the same")  # fmt: skip
    message, advice = _WORDS.get(cause, (f"the job ended: {cause.name}", "rerun it"))
    return Failure(cause.name, message, advice)
