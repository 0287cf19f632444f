"""Real-time cores: cores of a type that are kept ready for you, so that your jobs of that type begin at once.

    reserved = cloud.realtime.request("c2", 2, max_duration=8)
    cloud.result(cloud.call(detect, frame, _type="c2"))
    cloud.realtime.release(reserved["request_id"])

Jobs of the account and type use them first; what is more than they hold waits with everybody's. They are paid from when they are
ready until they are released, and the jobs on them cost nothing more.

Reservations are told as dicts: ``request_id`` (an int), ``type``, ``cores``, ``start_time`` (None while they are not ready yet),
``max_duration`` (hours from then on; None = until they are released), ``end_time`` (when it is known), ``state`` ("pending",
"ready", "releasing" while jobs still run on released cores, "ended"), ``why`` they were released, ``price`` (micro-dollars a
core-hour). Times are datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloud import _reservations

__all__ = ["change_max_duration", "list", "release", "request"]


def request(type: str, cores: int, max_duration: int | None = None) -> dict[str, Any]:
    """Reserve cores. They are ready a moment later: ``start_time`` of :func:`list` tells.

    Args:
        type: core type, ``"c1"``, ``"c2"``, ``"f2"``, ``"m1"`` or ``"s1"``.
        cores: how many.
        max_duration: whole hours after which they are released by themselves, counted from when they are ready; None = never.

    Returns:
        The reservation.

    Raises:
        TypeError: no such values can be.
        BadRequest: there is no such type; or the machine has not so many cores left (``facts`` have the figures: ``asked``,
            ``reservable``, ``reserved``); or the account may spend nothing.
    """
    return _reservations.request(type, cores, max_duration)


def list(request_id: int | str = "") -> Sequence[dict[str, Any]]:
    """Your reservations that have not ended, the oldest first.

    Args:
        request_id: only this one, also if it has ended.

    Raises:
        TypeError: no number of a reservation.
        NotFound: there is none of that number.
    """
    return _reservations.listing(request_id)


def release(request_id: int) -> dict[str, Any]:
    """Release cores: no job begins on them any more. They are paid until the jobs that run on them have ended.

    Returns:
        The reservation.

    Raises:
        TypeError: no number of a reservation.
        NotFound: there is none of that number.
    """
    return _reservations.ask("/release", {"request_id": _reservations.number(request_id)})


def change_max_duration(request_id: int, new_max_duration: int | None = None) -> dict[str, Any]:
    """Change after how long cores are released by themselves.

    Args:
        request_id: which.
        new_max_duration: whole hours from when they were ready first; None = never.

    Returns:
        The reservation.

    Raises:
        TypeError: no such values can be.
        NotFound: there is none of that number.
        BadRequest: it is released already.
    """
    hours = _reservations.hours(new_max_duration)
    return _reservations.ask("/change", {"request_id": _reservations.number(request_id), "max_duration": hours})
