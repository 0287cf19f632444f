"""How far a runner's word about run times is taken.

A runner measures its jobs itself, since nobody else sees the first instruction and the last; but the user's code lives in the
same process and may say what it likes. The worker sees the start mark and the result pass by. What it sees is later than what
happened, by as long as it had to wait for a core itself: for marks and results alike, so that over many jobs the two even out.
Between them lies, besides the user's code, what the runner does around it: some ten microseconds for most jobs.

So a runner may fall short of what the worker saw by AROUND for each job, and beyond that by CREDIT in all. What is more is added
to the job with which it came out. Whoever lies gains a second once, and a millisecond a job, of which each is billed one at
least.
"""

from __future__ import annotations

AROUND = 1000
"""Microseconds."""
CREDIT = 1_000_000
"""Microseconds: also for what is loaded before a function can begin, and for moments in which the machine is crowded."""


class Trust:
    """The account of one slot, over all of its runners."""

    __slots__ = ("owed",)

    def __init__(self) -> None:
        self.owed = 0  # microseconds by which its runners fell short, less what they were allowed

    def fair(self, told: int, seen: int) -> int:
        """The run time that counts, in microseconds.

        Args:
            told: by the runner, microseconds.
            seen: between start mark and result by the worker, microseconds.
        """
        owed = self.owed + seen - told - AROUND
        if owed > CREDIT:
            told, owed = told + owed - CREDIT, CREDIT
        self.owed = owed if owed > 0 else 0
        return told or 1
