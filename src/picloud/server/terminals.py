"""Tickets for web terminals: each is good for one visit to one running job, from one page, for half a minute.

They live here and nowhere else: a control that starts anew knows none, and its edge, which dies with it, holds no visits.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable

from msgspec import Struct

from picloud.wire.error import Forbidden, NotAuthorized

LIFETIME = 30.0
"""Seconds for the browser to come."""
OPEN = 64
"""Tickets of an account that wait at once; with one more the oldest is void."""


class Visit(Struct, frozen=True):
    """What a ticket is for."""

    account: int
    jid: int
    rows: int
    columns: int
    place: str  # host and port of the page that asked for it
    shown: dict[str, str]  # what whoever asked was let in by: digest or session, as ``/v1/edge/still`` takes it


class Terminals:
    """The tickets that were given out and not yet used.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[bytes, tuple[float, Visit]] = {}  # by digest, oldest first

    def give(self, visit: Visit) -> str:
        """A ticket for this visit."""
        now = self._clock()
        self._waiting = {mark: held for mark, held in self._waiting.items() if held[0] > now}
        mine = [mark for mark, (_, one) in self._waiting.items() if one.account == visit.account]
        for mark in mine[: max(0, len(mine) + 1 - OPEN)]:
            del self._waiting[mark]
        made = secrets.token_urlsafe(32)
        self._waiting[_digest(made)] = now + LIFETIME, visit
        return made

    def take(self, ticket: str, origin: str) -> Visit:
        """The visit that a ticket is for; it is used by this, whatever comes of it.

        Args:
            origin: of the page that brings it, such as ``http://host:port``; "" = a program that is no browser.

        Raises:
            NotAuthorized: used, too old, or never given out.
            Forbidden: another page's browser brings it.
        """
        until, visit = self._waiting.pop(_digest(ticket), (0.0, None))
        if visit is None or until <= self._clock():
            raise NotAuthorized("this terminal's ticket was used or is too old", hint="open the terminal again")
        if origin and origin.lower().partition("://")[2] != visit.place.lower():
            raise Forbidden("a terminal is opened from the server's own page", hint="open it there")
        return visit


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).digest()
