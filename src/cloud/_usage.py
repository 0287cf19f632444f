"""``cloud.usage``, ``cloud.credit``, ``cloud.estimate``: what work cost, what there is to spend, and what a map would cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

BY = ("day", "label", "function", "type", "queue", "job")


def usage(by: str = "day", since: date | str | None = None, until: date | str | None = None, limit: int = 1000
          ) -> list[dict[str, Any]]:  # fmt: skip
    """What the account has used and what that cost, summed.

    Args:
        by: 'day', 'label', 'function', 'type', 'queue' or 'job'.
        since, until: first and last day (UTC): dates, or texts such as '2026-01-31'; None = no bound.
        limit: rows at most: the newest days or jobs, else the dearest.

    Returns:
        A dict for each row: what it was summed by under that name, ``attempts, core_hours, dollars``, and exactly ``core_ms``
        and ``amount`` ($1 = 3,600,000,000,000); of a job its ``function`` too.

    Raises:
        ValueError: ``by`` is none of these.
        BadRequest: not a day.
        SetupError: jobs are simulated: they cost nothing.
    """
    found: list[dict[str, Any]] = page(by, since, until, limit)["rows"]
    return found


def page(by: str, since: Any, until: Any, limit: int) -> dict[str, Any]:
    """The rows, and under ``total`` what all come to, also those beyond the limit."""
    from urllib.parse import urlencode

    if by not in BY:
        raise ValueError(f"by must be one of {', '.join(BY)}, not {by!r}")
    query = {"by": by, "since": since, "until": until, "limit": limit}
    found: dict[str, Any] = _ask("usage?" + urlencode({name: value for name, value in query.items() if value is not None}))
    return found


def credit() -> dict[str, Any]:
    """What the account may spend.

    Returns:
        ``month`` (its first day), under ``dollars`` what was ``spent`` in it, its ``free`` hours and what is ``left`` of these
        (``free_left``) and in all, ``beyond`` (spent and paid by nothing), the ``soft`` and ``hard`` limit of a month (or
        None); the same as exact amounts beside; ``grants``; ``stops`` (whether the server lets money stop work), ``stopped``
        (why this account begins nothing further, or "").

    Raises:
        SetupError: jobs are simulated: they cost nothing.
    """
    found: dict[str, Any] = _ask("credit")
    return found


def estimate(func: Callable[..., Any] | str, n: int = 1, *, _type: str | None = None, _cores: int = 1) -> dict[str, Any]:
    """What a map of ``n`` jobs would cost, by runs of the function that have been measured.

    Args:
        func: a callable, or the name under which its jobs are listed.
        n: how many jobs.
        _type: core type; None = the server's default.
        _cores: of each job.

    Returns:
        ``function, type, cores, count, price`` (micro-dollars a core-hour), ``measured`` (how many ``runs``, the ``type`` they
        ran on, seconds ``mean, low, high``: eight of ten took between the latter two), ``dollars``, ``core_hours``, the exact
        ``amount`` and those for ``low`` and ``high``, and ``dollars_left``. Where the function never ran, ``measured``,
        ``dollars`` and ``core_hours`` are None.

    Raises:
        TypeError: ``func`` is neither callable nor a name, or ``n`` no int.
        ValueError: ``n`` is below 0.
        BadRequest: there is no such core type, or not with so many cores.
        SetupError: jobs are simulated: they cost nothing.
    """
    from urllib.parse import urlencode

    from cloud import _function

    if not isinstance(func, str) and not callable(func):
        raise TypeError(f"func must be callable, or the name of a function, not {func!r}")
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"n must be an int, not {n!r}")
    if not 0 <= n < 10**12:
        raise ValueError(f"n must be 0 or more, not {n}")
    name = func if isinstance(func, str) else _function.name(func)
    query: dict[str, Any] = {"function": name, "count": n, "cores": _cores} | ({} if _type is None else {"type": _type})
    found: dict[str, Any] = _ask("estimate?" + urlencode(query))
    return found


def _ask(path: str) -> Any:
    from cloud import _session
    from picloud.wire.error import SetupError

    if _session.is_simulated():
        raise SetupError("jobs are simulated and cost nothing", hint="cloud.setkey(...) leads back to a server")
    return _session.session().link.json("GET", f"/v1/{path}")
