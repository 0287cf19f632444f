"""Crons: functions that run at given times, whether you are there or not.

    cloud.cron.register(report, "nightly", "30 2 * * *", timezone="Europe/Vienna")
    cloud.cron.info("nightly")["last_jid"]
    cloud.cron.deregister("nightly")

A schedule has five fields: minute (0-59), hour (0-23), day (1-31), month (1-12 or jan-dec), weekday (0-7 or sun-sat, Sunday is
0 and 7). Each is ``*``, a number, a range ``a-b``, a step ``*/n``, ``a-b/n`` or ``a/n`` (every n from a on), or a list of these
with commas; ``?`` is ``*`` for day, month and weekday. ``@yearly``, ``@monthly``, ``@weekly``, ``@daily`` and ``@hourly`` are
short forms. A day must fit both day and weekday.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from cloud import _crons

__all__ = ["deregister", "info", "list", "manual_run", "register", "runs"]


def register(
    func: Callable[[], Any],
    label: str,
    schedule: str | Sequence[Any],
    *,
    timezone: str = "UTC",
    day_or: bool = False,
    missed: str = "skip",
    overlap: str = "allow",
    **reserved: Any,
) -> None:
    """Run a function at given times. A cron that has this label is replaced; its history stays.

    Args:
        func: takes no arguments. What its closure holds is kept as it is now.
        label: 1 to 100 letters, digits, ``_ + - .``; its jobs have it too.
        schedule: five fields with blanks between, or a sequence of five, or a short form.
        timezone: in whose time, a name of the IANA database such as ``Europe/Vienna``. Where clocks are put forward, a time that
            is left out comes at the jump; where they are put back, one that is there twice comes once. A schedule of every hour
            counts hours that pass.
        day_or: a day that fits day or weekday is enough, where both say something, as in Unix.
        missed: of times at which no server ran: ``"skip"``, or ``"once"``, one run for all of them, when it runs again.
        overlap: when the run before is not over: ``"allow"`` another, or ``"skip"`` this time.
        reserved: keywords of ``cloud.call`` but ``_label``, ``_depends_on``, ``_callback`` and their like.

    Raises:
        TypeError: not callable, or a keyword that does not exist.
        ValueError: it needs arguments; the schedule (which field and why), the time zone or an option cannot be.
        BadRequest: no such label can be.
    """
    _crons.register(func, label, schedule, _crons.Plan(timezone, day_or, missed, overlap, reserved))


def deregister(label: str) -> None:
    """Forget a cron and its history. A job of it that runs goes on.

    Raises:
        NotFound: there is none of that label.
    """
    _crons.ask("POST", "/remove", {"label": label})


def manual_run(label: str) -> int:
    """Run a cron's function now; the jid. Its schedule is not changed by that.

    Raises:
        NotFound: there is none of that label.
    """
    return _crons.by_hand(label)


def list() -> Sequence[str]:
    """The labels of your crons, in their order."""
    return [one["label"] for one in _crons.ask("GET", "")["crons"]]


def info(label: str) -> dict[str, Any]:
    """What is known of a cron.

    Returns:
        label, schedule, timezone, day_or, missed, overlap, next_run, last_run, last_jid, last_status, created, creator_host,
        func_name, core_type. Times are datetimes in UTC, ``last_run`` the time that the last run was meant for; None where
        there is none.

    Raises:
        NotFound: there is none of that label.
    """
    (found,) = _crons.ask("GET", "?" + urlencode({"label": label}))["crons"]
    for name in ("next_run", "last_run", "created"):
        found[name] = _time(found[name])
    return dict(found)


def runs(label: str, limit: int = 100) -> Sequence[dict[str, Any]]:
    """The newest runs of a cron, the last one first.

    Args:
        limit: at most so many, up to 1000.

    Returns:
        Dicts: ``time`` that the run was meant for and ``made``, when it was submitted, as datetimes in UTC; ``jid`` (None where
        there is no job) and ``status``; ``why``: "time", "hand", "missed" (it stands for times at which no server ran), or why
        there is none: "overlap", "downtime", "failed"; ``trouble``: of failed ones what was wrong.

    Raises:
        NotFound: there is no cron of that label.
    """
    found = _crons.ask("GET", "/run?" + urlencode({"label": label, "limit": limit}))["runs"]
    return [one | {"time": _time(one["time"]), "made": _time(one["made"])} for one in found]


def _time(value: int | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value / 1000, UTC)
