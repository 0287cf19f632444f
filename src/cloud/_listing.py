"""``cloud.jobs``: the account's jobs, newest first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cloud._backend import Backend
from picloud.wire.job import Status

LONGEST = 1024
"""Characters of a label or a function's name to look for."""


def rows(backend: Backend, state: Any, label: Any, func: Any, since: Any, limit: Any) -> list[dict[str, Any]]:
    """See ``cloud.job.Verbs.jobs``."""
    if state is not None and state not in Status.__members__:
        raise ValueError(f"state must be one of {', '.join(Status.__members__)}, not {state!r}")
    for name, value in (("label", label), ("func", func)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a str, not {value!r}")
        if value is not None and len(value) > LONGEST:
            raise ValueError(f"{name} has {len(value)} characters; {LONGEST} at most can be looked for")
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit must be an int, not {limit!r}")
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    return shown(backend.listing(state, label, func, _milliseconds(since), limit))


def shown(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as users see them."""
    return [{name: _shown(name, value) for name, value in row.items()} for row in found]


def _milliseconds(since: Any) -> int | None:
    if since is None:
        return None
    if isinstance(since, datetime):
        return max(0, int(since.timestamp() * 1000))
    if isinstance(since, bool) or not isinstance(since, int | float):
        raise TypeError(f"since must be a datetime or seconds since the epoch, not {since!r}")
    if not abs(since) < 1 << 50:
        raise ValueError(f"since must be seconds since the epoch, not {since}")
    return max(0, int(since * 1000))


def _shown(name: str, value: Any) -> Any:
    if name in ("created", "started", "finished") and isinstance(value, int | float):
        return datetime.fromtimestamp(value / 1000, UTC)
    return value
