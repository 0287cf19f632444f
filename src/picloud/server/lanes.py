"""The machine as pools of capacity: one for each **lane**, and what these leave.

A lane is what an account has reserved of a core type: a small machine of its own within the machine, with workers that take
no other jobs. The scheduler looks at one pool at a time and knows nothing of reservations. Jobs of the account and type go to
their lane first; what is more than it holds uses the rest of the machine like everybody's. An idle worker outside takes a job at
once, though, where the lane would first have to make a sandbox; the lane's idle cores follow such jobs, for those to come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from picloud.server import scheduler
from picloud.server.fleet import Fleet, Worker
from picloud.server.scheduler import Host, KindView
from picloud.store.job import Ready

SETTLED = 1.0
"""Seconds by which a job outside must be younger than the last one of an idle core that is given to its kind."""


class Lane(NamedTuple):
    """Whose reserved cores, and of which type."""

    account: int
    core_type: str


class Kept(NamedTuple):
    """What is reserved in a lane."""

    cores: int  # that may begin jobs
    held: int  # with those of released reservations on which jobs still run
    units: int  # compute units of a core, thousandths
    home: int  # the kind whose slots are ready while nothing has run


class Pool(NamedTuple):
    """A part of the machine, with what shall run there."""

    host: Host
    views: dict[int, KindView]  # by kind
    home: int = 0  # the kind that gets what is left over; 0 = none
    reserved: bool = False

    def free(self) -> int:
        """Compute units (thousandths) that no job uses or could use now."""
        return max(0, self.host.units - sum(scheduler.demand(one) * one.units for one in self.views.values()))

    def targets(self, weights: dict[int, int]) -> dict[int, int]:
        """Slots each kind shall have here."""
        wanted = scheduler.targets(self.views.values(), self.host, weights)
        if self.home:
            unlent = sum((wanted[kind] - view.lent) * view.units for kind, view in self.views.items())
            wanted[self.home] += max(0, self.host.units - unlent) // self.views[self.home].units
        return wanted


class Lanes:
    """What is reserved now. ``kept`` is set by who looks after reservations."""

    def __init__(self) -> None:
        self.kept: dict[Lane, Kept] = {}

    def units(self) -> int:
        """Compute units (thousandths) that nobody else gets."""
        return sum(kept.held * kept.units for kept in self.kept.values())

    def pools(
        self, ready: Iterable[Ready], awaited: set[int], fleet: Fleet, host: Host, units: Callable[[int], int]
    ) -> list[Pool]:
        """The machine's pools: lanes first, the rest last.

        Args:
            ready: kinds with ready jobs.
            awaited: kinds of which running jobs wait for some.
            host: the whole machine.
            units: compute units of a slot of a kind, thousandths.
        """
        rest = Pool(Host(max(0, host.units - self.units()), host.cores, host.idle_cpu, host.spare_slots), {})
        lanes = {lane: _pool(lane, kept, host.spare_slots) for lane, kept in self.kept.items()}
        seen = []
        for worker in fleet:
            lane = lane_of(worker)
            pool = rest if lane is None else lanes.setdefault(lane, _pool(lane, _NOTHING, host.spare_slots))
            seen.append((worker, _see(pool.views, worker)))
        for item in sorted(ready, key=lambda one: (one.kind not in awaited, one.priority)) if self.kept else ready:
            view = KindView(item.kind, item.account, units(item.kind), item.count, item.kind in awaited, item.priority)
            found = lanes.get(Lane(item.account, item.core_type))
            if found is not None and item.cores <= found.host.cores and not item.env.startswith("s"):
                room = found.free() // view.units
                _add(found.views, view)
                view = _without(view, room)
            if view.ready or item.kind in rest.views:
                _add(rest.views, view)
        if self.kept:
            _follow(lanes, [worker for worker, _ in seen])
        for worker, view in seen:
            view.stuck = worker.stuck(view.ready > 0)
            if view.busy or view.ready:
                worker.idle_since = time.monotonic()
        return [*lanes.values(), rest]


def lane_of(worker: Worker) -> Lane | None:
    """The lane a worker works in; None = none."""
    return Lane(worker.kind.account, worker.kind.core_type) if worker.reserved else None


def _pool(lane: Lane, kept: Kept, spare_slots: int) -> Pool:
    host = Host(kept.cores * kept.units, kept.cores, False, spare_slots, oversize=False)
    home = kept.home if kept.cores else 0
    return Pool(host, {home: KindView(home, lane.account, kept.units, 0)} if home else {}, home, reserved=True)


def _see(views: dict[int, KindView], worker: Worker) -> KindView:
    """What a worker has."""
    view = views.setdefault(worker.kind.id, KindView(worker.kind.id, worker.kind.account, worker.kind.units, 0))
    view.slots = max(worker.slots, worker.target)
    view.busy = min(len(worker.held), view.slots) if worker.connected else 0
    view.lent = worker.lent
    view.ready += max(0, len(worker.held) - view.busy)
    return view


def _follow(lanes: dict[Lane, Pool], workers: list[Worker]) -> None:
    """Kinds that work outside get a core of their lane that is idle, and that worked for another kind longer ago."""
    for outside in workers:
        kind = outside.kind
        lane = Lane(kind.account, kind.core_type)
        if outside.reserved or lane not in lanes or kind.env.startswith("s"):
            continue
        pool, since = lanes[lane], outside.worked - SETTLED
        others = [each for each in workers if lane_of(each) == lane and each.kind.id != kind.id and each.worked < since]
        if any(len(each.held) < each.slots for each in others):
            warm = sum(each.slots - len(each.held) for each in workers if lane_of(each) == lane and each.kind.id == kind.id)
            view = KindView(kind.id, kind.account, kind.units, max(0, warm) + 1)
            _add(pool.views, _without(view, max(0, view.ready - pool.free() // kind.units)))


def _add(views: dict[int, KindView], more: KindView) -> None:
    """What waits for it."""
    view = views.setdefault(more.kind, KindView(more.kind, more.account, more.units, 0))
    view.ready += more.ready
    view.awaited, view.priority = more.awaited, more.priority


def _without(view: KindView, taken: int) -> KindView:
    return KindView(view.kind, view.account, view.units, max(0, view.ready - taken), view.awaited, view.priority)


_NOTHING = Kept(0, 0, 0, 0)
