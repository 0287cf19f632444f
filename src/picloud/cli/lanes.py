"""The lines that lead from handlers to queues, beside their boxes: which of them share a lane, and where each lane runs."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from picloud.cli.layers import Link

Port = tuple[int, int]
"""A line of text at which a lane begins or ends: number of the queue, number of the line in its boxes."""
INTO, FAILED_INTO, OUT_OF = 0, 1, 2
"""Lines of a queue: where something comes in, where errors come in if outputs do too, the first of its handler."""


class Lane(NamedTuple):
    """One line up and down, with all that goes in and comes out on it."""

    sources: tuple[Port, ...]
    targets: tuple[Port, ...]
    failed: bool
    links: tuple[Link, ...]

    @property
    def first(self) -> Port:
        return min(self.sources + self.targets)

    @property
    def last(self) -> Port:
        return max(self.sources + self.targets)


def lanes(at: Mapping[str, int], links: Sequence[Link]) -> list[Lane]:
    """Handlers that push to the same queues share one lane; each kind of error has a line of its own.

    Args:
        at: each queue's number, from above.
    """
    goes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for link in links:
        goes[link.source, link.exception].append(link.target)
    shared: dict[tuple[tuple[str, ...], bool], list[tuple[str, str]]] = defaultdict(list)
    for (source, exception), targets in goes.items():
        shared[tuple(sorted(set(targets))), bool(exception)].append((source, exception))
    kinds = exceptions(links)
    fed = {link.target for link in links if not link.exception}
    into = {link.target: FAILED_INTO if link.target in fed else INTO for link in links}
    return [
        _lane(at, targets, sources, kinds, into if failed else dict.fromkeys(targets, INTO))
        for (targets, failed), sources in shared.items()
    ]


def exceptions(links: Sequence[Link]) -> dict[str, list[str]]:
    """The exceptions for which each queue's handler has a way, in their order."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for link in links:
        if link.exception and link.exception not in kinds[link.source]:
            kinds[link.source].append(link.exception)
    return kinds


def _lane(
    at: Mapping[str, int], targets: Sequence[str], sources: Sequence[tuple[str, str]], kinds: Mapping[str, list[str]],
    into: Mapping[str, int],
) -> Lane:  # fmt: skip
    out = tuple((at[name], OUT_OF + (kinds[name].index(kind) + 1 if kind else 0)) for name, kind in sources)
    links = tuple(Link(name, target, kind) for name, kind in sources for target in targets)
    return Lane(out, tuple((at[name], into[name]) for name in targets), bool(sources[0][1]), links)


def columns(found: Sequence[Lane]) -> list[list[Lane]]:
    """Lanes that do not meet stand in one column; the shortest are nearest to the boxes."""
    taken: list[list[Lane]] = []  # each from above to below
    for lane in sorted(found, key=lambda lane: (lane.last[0] - lane.first[0], lane.first)):
        for column in taken:
            at = bisect(column, lane.first, key=lambda one: one.first)
            if (at == 0 or column[at - 1].last < lane.first) and (at == len(column) or lane.last < column[at].first):
                column.insert(at, lane)
                break
        else:
            taken.append([lane])
    return taken
