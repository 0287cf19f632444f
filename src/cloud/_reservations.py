"""What ``cloud.realtime`` says to the server."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Any

from cloud import _stored


def request(core_type: Any, cores: Any, max_duration: Any) -> dict[str, Any]:
    """Reserve cores. Errors as for ``cloud.realtime.request``."""
    if not isinstance(core_type, str):
        raise TypeError(f"type is the name of a core type, not {core_type!r:.60}")
    body = {
        "type": core_type, "cores": _count("cores", cores), "max_duration": hours(max_duration), "token": os.urandom(16).hex(),
        "interpreter": [sys.executable, sys.prefix, sys.base_prefix],
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
    }  # fmt: skip
    return ask("", body)


def listing(request_id: Any) -> list[dict[str, Any]]:
    """Reservations, or the one that is named."""
    query = "" if request_id in ("", None) else f"?request_id={number(request_id)}"
    found = _stored.link("real-time cores").json("GET", f"/v1/realtime{query}")
    return [_told(one) for one in found["reservations"]]


def ask(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask for something about one reservation, which is told."""
    return _told(_stored.link("real-time cores").json("POST", f"/v1/realtime{path}", body))


def number(request_id: Any) -> int:
    """The number of a reservation.

    Raises:
        TypeError: it is none.
    """
    if isinstance(request_id, str) and request_id.isascii() and request_id.isdecimal():
        return int(request_id)
    return _count("request_id", request_id)


def hours(max_duration: Any) -> int | None:
    """Whole hours, or None.

    Raises:
        TypeError: neither.
    """
    return None if max_duration is None else _count("max_duration", max_duration)


def _count(word: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise TypeError(f"{word} is a whole number above 0, not {value!r:.60}")
    return value


def _told(one: dict[str, Any]) -> dict[str, Any]:
    times = {name: one[name] for name in ("start_time", "end_time")}
    return one | {name: None if at is None else datetime.fromtimestamp(at / 1000, UTC) for name, at in times.items()}
