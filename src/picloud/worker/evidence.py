"""What a death certificate tells besides the cause: the last lines, the last minute of samples, figures, stacks."""

from __future__ import annotations

from pathlib import Path

from picloud.wire.job import Cause
from picloud.wire.message import Figures, Outcome
from picloud.worker import death, found, frame
from picloud.worker.order import Order
from picloud.worker.running import Running
from picloud.worker.samples import Meter

REFUSED, KILLS = "requests for memory refused", "processes killed by the kernel"

STACKS = 32_000  # bytes of stacks that are kept


def add(running: Running, outcome: Outcome, order: Order) -> None:
    """Complete the certificate of a job that failed."""
    failure = outcome.failure
    if failure is None:
        return
    if running.job_log is not None and not failure.log_tail:
        failure.log_tail = running.job_log.last()
    if running.meter is not None:
        failure.last_minute = running.meter.last_minute()
    if outcome.cause == Cause.out_of_memory:
        figures = outcome.figures = outcome.figures or Figures(memory_limit=order.memory_limit or None)
        if failure.type.rpartition(".")[2] == "MemoryError":  # one refusal that the runner itself has seen
            figures.refused = max(figures.refused or 0, 1)
            if outcome.peak_memory and order.memory_limit:
                failure.message += f": it held {death.size(outcome.peak_memory)}, {death.size(order.memory_limit)} are allowed"
        failure.peak_memory = max(failure.peak_memory or 0, outcome.peak_memory) or None
        failure.memory_limit = order.memory_limit or None
        failure.advice = failure.advice or death.bigger(order.memory_limit, order)
        failure.refused, failure.kernel_kills = figures.refused, figures.kernel_kills
        counts = [f"{text}: {count}" for count, text in ((figures.refused, REFUSED), (figures.kernel_kills, KILLS)) if count]
        failure.message += f" ({', '.join(counts)})" if counts else ""


def judge(running: Running, outcome: Outcome, flags: int, killed: bool, order: Order) -> None:
    """Cause and certificate of a job whose runner lives.

    Args:
        flags: of its result.
        killed: the kernel killed a program of the job for memory.

    Raises:
        ValueError: the runner says what cannot be.
    """
    if flags & frame.FAILED:
        cause, outcome.failure = death.told(outcome.data)
        if killed and cause in (Cause.exception, Cause.exit):
            cause = death.child_out_of_memory(outcome.failure, running.spec.name, order)
        outcome.cause, outcome.data, outcome.retry = cause, b"", bool(flags & frame.RETRY)
    if running.ending is not None:
        told = outcome.failure.traceback if outcome.failure else ""
        outcome.failure, outcome.data, outcome.retry = running.ending, b"", False
        outcome.failure.traceback = outcome.failure.traceback or told
        outcome.cause = Cause[running.ending.cause]
    elif outcome.cause == Cause.killed:  # an interrupt that nobody ordered
        raise ValueError("no order to end this job")
    if outcome.failure is not None:
        add(running, outcome, order)


def killed(running: Running, at_limit: bool, order: Order) -> None:
    """The kernel killed for lack of memory, perhaps before the job was sampled: its figures are still there.

    Args:
        at_limit: the kernel keeps the job's own limit, so that it was reached.
    """
    if at_limit:
        running.peak = max(running.peak, order.memory_limit)
        if running.meter is None and running.before is not None:
            running.meter = Meter(*running.key, running.before, order.memory_limit)


def stacks(folder: Path) -> str:
    """The stacks that the runner in ``folder`` has left."""
    return death.stacks(found.content(folder / "stacks", STACKS).decode(errors="replace"))
