"""Job numbers: the light sequence that ``map`` returns, and whatever a caller may hand in to name jobs."""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, overload

from picloud.wire.error import CloudTimeoutError, NotFound

Ranges = list[tuple[int, int]]
MOST = 2**63 - 1  # no jid is larger


class Jids(Sequence[int]):
    """Jids as (first, count) ranges: takes no room however many they are, and works like a list that cannot change."""

    __slots__ = ("ranges", "_ends")

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self.ranges = joined(ranges)
        self._ends = list(accumulate(count for _, count in self.ranges))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(range(first, first + count) for first, count in self.ranges)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...

    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        positions = range(len(self))[at]
        if isinstance(positions, int):
            return self._at(positions)
        if positions.step == 1:
            return Jids(self._cut(positions.start, positions.stop))
        return [self._at(position) for position in positions]

    def _at(self, position: int) -> int:
        row = bisect_right(self._ends, position)
        first, count = self.ranges[row]
        return first + position - (self._ends[row] - count)

    def _cut(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        for (first, count), end in zip(self.ranges, self._ends, strict=True):
            low, high = max(start, end - count), min(stop, end)
            if low < high:
                yield first + low - (end - count), high - low

    def __contains__(self, jid: object) -> bool:
        return isinstance(jid, int) and any(first <= jid < first + count for first, count in self.ranges)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Jids):
            return self.ranges == other.ranges
        if isinstance(other, range | list | tuple):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.ranges))

    def __repr__(self) -> str:
        return f"Jids({shown(self.ranges)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Jids, (self.ranges,)


class Asked:
    """The jobs a caller named: ``ranges`` in the caller's order, and whether it was one bare int."""

    def __init__(self, ranges: Ranges, single: bool) -> None:
        self.ranges, self.single = ranges, single

    def __len__(self) -> int:
        return sum(count for _, count in self.ranges)

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(range(first, first + count) for first, count in self.ranges)

    def unique(self) -> Ranges:
        """Each job once, in rising order."""
        if len(self.ranges) < 2:
            return list(self.ranges)
        made: Ranges = []
        for first, count in sorted(self.ranges):
            end = made[-1][0] + made[-1][1] if made else first
            if made and first <= end:
                made[-1] = (made[-1][0], max(end, first + count) - made[-1][0])
            else:
                made.append((first, count))
        return made


class Wanted:
    """Which jobs of some rising ranges are still to come."""

    def __init__(self, ranges: Ranges) -> None:
        self.firsts = [first for first, _ in ranges]
        self.flags = [bytearray(count) for _, count in ranges]
        self.left = sum(count for _, count in ranges)

    def mark(self, jid: int) -> bool:
        """Note that a job came; False when it had come before, or was not asked for."""
        row = bisect_right(self.firsts, jid) - 1
        if row < 0:
            return False
        flags, at = self.flags[row], jid - self.firsts[row]
        if at >= len(flags) or flags[at]:
            return False
        flags[at] = 1
        self.left -= 1
        return True

    def lacking(self) -> Ranges:
        """The jobs that have not come."""
        found: Ranges = []
        for first, flags in zip(self.firsts, self.flags, strict=True):
            start = flags.find(0)
            while start >= 0:
                end = flags.find(1, start)
                end = len(flags) if end < 0 else end
                found.append((first + start, end - start))
                start = flags.find(0, end)
        return found


def asked(jids: Any) -> Asked:
    """Understand one int, a range, what ``map`` returned, or any iterable that mixes these.

    Raises:
        TypeError: something in it is not a whole number.
        NotFound: a number no job can have.
    """
    if type(jids) is int:
        return Asked(_possible([(jids, 1)]), True)
    if not isinstance(jids, Iterable) or isinstance(jids, str | bytes):
        return Asked(_possible([(_number(jids), 1)]), True)
    return Asked(_possible(joined(_parts(jids))), False)


def _possible(ranges: Ranges) -> Ranges:
    """The ranges, if the wire can carry them."""
    for first, count in ranges:
        if not 0 <= first <= MOST - count:
            raise NotFound(f"there is no job {first if first < 0 else first + count - 1}", hint="`picloud jobs` lists yours")
    return ranges


def refuse_itself(own: int, ranges: Ranges) -> None:
    """Raise CloudTimeoutError if the job ``own`` is among those it would wait for: that would never end."""
    if any(first <= own < first + count for first, count in ranges):
        raise CloudTimeoutError(f"job {own} would wait for itself for ever", hint="leave its own jid out")


def _parts(jids: Iterable[Any]) -> Iterator[tuple[int, int]]:
    if isinstance(jids, Jids):
        yield from jids.ranges
    elif isinstance(jids, range) and jids.step == 1:
        if jids:
            yield jids.start, len(jids)
    else:
        for item in jids:
            if type(item) is int:
                yield item, 1
            elif isinstance(item, Jids | range):
                yield from _parts(item)
            else:
                yield _number(item), 1


def _number(value: Any) -> int:
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass  # said below, in the words of jobs
    raise TypeError(f"a jid is a whole number, not {value!r} ({type(value).__name__})")


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same jids in the same order, neighbouring ranges made one."""
    made: Ranges = []
    start, size = 0, 0
    for first, count in ranges:
        if size and first == start + size:
            size += count
        elif count > 0:
            if size:
                made.append((start, size))
            start, size = first, count
    return [*made, (start, size)] if size else made


def shown(ranges: Iterable[tuple[int, int]], most: int = 6) -> str:
    """As the command line writes them: ``5,7-10``."""
    words = [str(first) if count == 1 else f"{first}-{first + count - 1}" for first, count in ranges]
    return ",".join(words if len(words) <= most else [*words[:most], ".."])


def spelled(ranges: Ranges) -> str:
    """Ranges as a user would type them in Python."""
    words = [str(first) if count == 1 else f"range({first}, {first + count})" for first, count in ranges[:5]]
    if len(words) == 1:
        return words[0]
    return f"[{', '.join(words)}{', ..' if len(ranges) > 5 else ''}]"
