"""What a death certificate tells besides the cause: the last lines, the last minute of samples, figures, stacks."""

from __future__ import annotations

from pathlib import Path

from picloud.wire.job import Cause
from picloud.wire.message import Figures, Outcome
from picloud.worker import death
from picloud.worker.order import Order
from picloud.worker.running import Running


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
        figures = outcome.figures or Figures()
        failure.peak_memory = max(failure.peak_memory or 0, outcome.peak_memory) or None
        failure.memory_limit = order.memory_limit or None
        failure.advice = failure.advice or death.bigger(order.memory_limit, order)
        failure.refused, failure.kernel_kills = figures.refused, figures.kernel_kills


def stacks(folder: Path) -> str:
    """The stacks that the runner in ``folder`` has left."""
    try:
        with open(folder / "stacks", "rb") as file:
            return death.stacks(file.read(32_000).decode(errors="replace"))
    except OSError:
        return ""
