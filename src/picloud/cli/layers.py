"""The order in which queues are drawn: pipeline by pipeline, in each what is upstream first.

pipelines(names, links) -> list[list[Placed]]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

Targets = Mapping[str, Sequence[str]]


class Link(NamedTuple):
    """One queue's handler pushes to another queue."""

    source: str
    target: str
    exception: str = ""  # messages go there only when they failed with this


class Placed(NamedTuple):
    """A queue and how many handlers lie before it at most; what goes round in a loop is not counted twice."""

    name: str
    layer: int


def pipelines(names: Sequence[str], links: Sequence[Link]) -> list[list[Placed]]:
    """Queues that are joined stand together, the most first; names of links that are not among ``names`` stand there too."""
    every = list(dict.fromkeys([*names, *(name for link in links for name in (link.source, link.target))]))
    targets: dict[str, list[str]] = {name: [] for name in every}
    for link in sorted(links, key=lambda link: bool(link.exception)):
        targets[link.source].append(link.target)
    order, back = _walk(_roots_first(every, links), targets)
    layer = dict.fromkeys(every, 0)
    for name in order:
        for target in targets[name]:
            if (name, target) not in back:
                layer[target] = max(layer[target], layer[name] + 1)
    fed = {link.target for link in links if not link.exception}
    failed = {link.target for link in links} - fed
    place = {name: at for at, name in enumerate(order)}
    parts = [sorted(part, key=lambda name: (layer[name], name in failed, place[name])) for part in _joined(every, links)]
    return [[Placed(name, layer[name]) for name in part] for part in sorted(parts, key=len, reverse=True)]


def _roots_first(names: Sequence[str], links: Sequence[Link]) -> list[str]:
    """What nothing leads to comes first: a loop is then cut where it is entered."""
    led_to = {link.target for link in links if link.target != link.source}
    return sorted(names, key=lambda name: name in led_to)


def _walk(names: Sequence[str], targets: Targets) -> tuple[list[str], set[tuple[str, str]]]:
    """Names so that each stands before its targets, but for links that lead back; those links."""
    seen: set[str] = set()
    back: set[tuple[str, str]] = set()
    done: list[str] = []
    for root in names:
        if root not in seen:
            _deeper(root, targets, seen, back, done)
    return done[::-1], back


def _deeper(root: str, targets: Targets, seen: set[str], back: set[tuple[str, str]], done: list[str]) -> None:
    """Depth first, without recursion: a chain may be longer than Python's stack."""
    seen.add(root)
    path: dict[str, Iterator[str]] = {root: iter(targets[root][::-1])}
    while path:
        name, rest = next(reversed(path.items()))
        target = next(rest, None)
        if target is None:
            done.append(name)
            del path[name]
        elif target in path:
            back.add((name, target))
        elif target not in seen:
            seen.add(target)
            path[target] = iter(targets[target][::-1])


def _joined(names: Sequence[str], links: Sequence[Link]) -> list[list[str]]:
    """Names that links join, in whatever direction."""
    near: dict[str, list[str]] = defaultdict(list)
    for link in links:
        near[link.source].append(link.target)
        near[link.target].append(link.source)
    parts, seen = [], set()
    for name in names:
        part = [] if name in seen else [name]
        seen.add(name)
        for each in part:
            fresh = [one for one in dict.fromkeys(near[each]) if one not in seen]
            seen.update(fresh)
            part += fresh
        if part:
            parts.append(part)
    return parts
