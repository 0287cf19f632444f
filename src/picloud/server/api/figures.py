"""What a record of the store lacks: the figures of a job that runs now, and the limits of its core type."""

from __future__ import annotations

from typing import Any

from picloud.server.control import Control
from picloud.server.kind import size
from picloud.server.sampling import Series
from picloud.server.storage import now_ms
from picloud.wire.job import Cause, Status
from picloud.wire.money import dollars
from picloud.wire.samples import shown


def complete(control: Control, account: int, jid: int, record: dict[str, Any]) -> None:
    """Fill in what is known here."""
    memory = record.get("memory")
    if memory is not None and memory["limit"] is None and record["attempts"]:
        slot = size(control.settings, record["core_type"], record["cores"])
        memory["limit"] = min(slot.memory, control.engine.capacity().memory)
    if record["status"] in (Status.queued.name, Status.waiting.name) and account in control.meter.stopped:
        record["cause"], record["waits_for"] = Cause.spending_limit.name, control.meter.stopped[account]
    if record["status"] != Status.processing.name:
        return
    if record["started"] is not None:
        record["runtime"] = max(0, now_ms() - record["started"]) / 1000
        _estimate(record)
    series = control.sampling.latest(account, jid)
    if series is not None and record["attempts"] and record["attempts"][-1]["n"] == series.n:
        _show(record, series)


def summary(control: Control, account: int, row: dict[str, Any]) -> None:
    """The same for a row of a list: why it waits, and what it has used so far while it runs."""
    if row["status"] == Status.queued.name and account in control.meter.stopped:
        row["cause"] = row["cause"] or Cause.spending_limit.name
    if row["status"] != Status.processing.name:
        return
    series = control.sampling.latest(account, row["jid"])
    if series is None or series.n != row["attempts"]:
        return
    now = shown(series.last[-1])
    row["cpu"] = sum(now["cputime"].values())
    row["peak_memory"], row["failcnt"] = now["memory"].get("max_usage"), now["memory"].get("failcnt")


def _estimate(record: dict[str, Any]) -> None:
    """What a job that runs has cost so far, were it all billed."""
    cost, last = record["cost"], record["attempts"][-1]
    if last["ended"] is None:
        amount = int(record["runtime"] * 1000) * record["cores"] * (last["price"] or 0)
        billed = cost["billed"] + record["runtime"]
        record["cost"] = {"dollars": dollars(cost["amount"] + amount), "amount": cost["amount"] + amount, "billed": billed,
                          "estimate": True}  # fmt: skip


def _show(record: dict[str, Any], series: Series) -> None:
    """The newest sample, in the places where the figures of a job that has ended would be."""
    now = shown(series.last[-1])
    record["cputime"] = now["cputime"]
    record["cpu_percentage"] = series.cpu()
    for name in ("memory", "swap", "disk", "network"):
        record[name] = record[name] | {key: value for key, value in now[name].items() if value is not None}
