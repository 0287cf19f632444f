"""How often somebody may try a password: the delay grows with each try that fails, by name and by address.

It is asked before the password is looked at, so that ten thousand wrong ones cost ten thousand look-ups in a table of ours and
nothing else. A try counts when it begins; only one that was right is taken back. So a thousand tries at once are as one
behind the other.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from picloud.wire.error import TooMany

FREE_BY_NAME, FREE_BY_ADDRESS = 4, 20
"""Tries that wait for nothing."""
LONGEST_BY_NAME, LONGEST_BY_ADDRESS = 60.0, 900.0
"""Seconds; the former is short, since anybody may make a user wait."""
FORGOTTEN = 3600.0
"""Seconds after which nothing counts any more."""
REMEMBERED = 10_000
"""Names, and addresses; of more the oldest are forgotten."""


class _Tries(NamedTuple):
    tries: int
    next: float  # when the next one may come
    last: float


class _Table:
    """Tries by one sort of key."""

    def __init__(self, free: int, longest: float) -> None:
        self._free, self._longest = free, longest
        self._rows: OrderedDict[str, _Tries] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Seconds to wait before a try; 0 = none."""
        row = self._rows.get(key)
        return 0.0 if row is None or now - row.last > FORGOTTEN else max(0.0, row.next - now)

    def add(self, key: str, now: float) -> None:
        row = self._rows.pop(key, None)
        count = 1 if row is None or now - row.last > FORGOTTEN else row.tries + 1
        delay = min(2.0 ** min(count - self._free, 20), self._longest) if count > self._free else 0.0
        self._rows[key] = _Tries(count, now + delay, now)
        while len(self._rows) > REMEMBERED:
            self._rows.popitem(last=False)

    def take_back(self, key: str) -> None:
        row = self._rows.get(key)
        if row is not None:
            self._rows[key] = row._replace(tries=row.tries - 1, next=row.last)

    def forget(self, key: str) -> None:
        self._rows.pop(key, None)


class Limiter:
    """All tries. Times are of a clock that never goes back, in seconds.

    Args:
        by_name, by_address: tries that wait for nothing.
    """

    def __init__(self, by_name: int = FREE_BY_NAME, by_address: int = FREE_BY_ADDRESS) -> None:
        self._names, self._addresses = _Table(by_name, LONGEST_BY_NAME), _Table(by_address, LONGEST_BY_ADDRESS)
        self.refused = 0  # tries that were not let in since somebody last asked

    def enter(self, name: str, address: str, now: float) -> None:
        """Begin a try.

        Raises:
            TooMany: it is too early; with the seconds to wait.
        """
        wait = max(self._names.wait(name, now), self._addresses.wait(address, now))
        if wait:
            self.refused += 1
            raise TooMany("there were too many tries", hint=f"try again in {wait + 0.5:.0f} s", seconds=max(0.1, round(wait, 1)))
        self._names.add(name, now)
        self._addresses.add(address, now)

    def right(self, name: str, address: str) -> None:
        """The try was right: the name is free again, and the address as it was."""
        self._names.forget(name)
        self._addresses.take_back(address)

    def turned_away(self) -> int:
        """How many were not let in since this was last asked."""
        count, self.refused = self.refused, 0
        return count
