"""When a job's memory is looked at, where only its worker sees to the limit: the sooner that may be reached, the sooner."""

from __future__ import annotations

import math

TURN = 0.1  # seconds between two turns of the watch
HASTE = 0.01  # seconds that two looks are apart at least
YOUNG = 3.0  # seconds in which a job's memory is looked at in each turn
CALM = 0.5  # seconds between two looks at the memory of a job that holds steady, far from its limit
STEADY, NEAR = 0.01, 0.7  # shares of the limit: growth between two looks, and use, above which it is looked at in each turn


class Pace:
    """The looks at one job; ``due``: when the next one is, seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.due = 0.0
        self._used, self._at = 0, -math.inf

    def looked(self, used: int, limit: int, age: float, now: float) -> float:
        """Take in a look.

        Args:
            used: bytes that the job holds.
            limit: bytes that it may hold; 0 = no limit.
            age: seconds that it has run.
            now: seconds of the monotonic clock.

        Returns:
            Seconds until the next look; 0 = in the next turn.
        """
        grown, passed = used - self._used, now - self._at
        self._used, self._at = used, now
        left = (limit - used) / grown * passed if limit and grown > 0 else math.inf
        hurried = age < YOUNG or abs(grown) > STEADY * limit or used > NEAR * limit
        wait = max(HASTE, left / 2) if left < TURN else 0.0 if hurried else CALM
        self.due = now + wait
        return wait
