"""Reserved cores: makes lanes of reservations, and sees that they begin, are paid, and end.

A level-triggered loop over the reservations that have not ended. What it decides it decides from rows and from what workers say
of their slots; so a server that dies goes on where it was:

* one **begins** when the slots of its lane are ready, all that it asks for
* it is **paid** from then on until it has ended, each few seconds what has passed. Time in which no worker stood for it (the
  machine was off, the server was down with its workers) is not paid; a worker that lives on while the server restarts is.
* it is **released** by hand, at its end, or when its account may spend no more. No job begins on it then. Cores on which jobs
  still run are paid until these end: else a long job would cost nothing whose reservation went at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, TypedDict

from picloud.server.kind import size
from picloud.server.lanes import Kept, Lane, lane_of
from picloud.server.storage import now_ms
from picloud.store.db import Transaction
from picloud.store.job import Ready
from picloud.store.meter import reservation as store
from picloud.store.meter import stretch
from picloud.store.meter.reservation import Reservation, Room, Wish
from picloud.wire.error import BadRequest

if TYPE_CHECKING:
    from picloud.server.control import Control
    from picloud.server.fleet import Worker

log = logging.getLogger("picloud.realtime")

TICK, STRICT = 5.0, 1.0
"""Seconds between two looks while anything is reserved; where money stops work, as often as the meter looks."""
BY_HAND, AT_ITS_END = "released by hand", "its time was over"
JUMP = 60_000
"""Milliseconds by which the wall clock runs ahead of ours where the machine has slept, or the clock was set."""
Act = Callable[[Transaction], object]


class Realtime:
    """The reservations of all accounts."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._open: list[Reservation] = []
        self._paid: dict[int, int] = {}  # reservation -> until when (epoch ms); one that is not in it is not paid now
        self._cores: dict[int, int] = {}  # of released ones: cores on which jobs still run
        self._looked = (0, 0.0)  # when we looked last: epoch ms, and seconds of the monotonic clock

    # -- what is asked --------------------------------------------------------------------------------------------

    async def request(self, account: int, wish: Wish) -> Reservation:
        """Reserve cores; they are ready a moment later.

        Raises:
            BadRequest: there is no room, with the figures; or the account may spend nothing.
        """
        if why := self._control.meter.stopped.get(account):
            raise BadRequest(f"nothing can be reserved: {why}", hint="picloud credit tells what there is to spend")
        async with self._turn:
            made = await self._control.storage.write(store.request, account, wish, self._room(), now_ms())
            await self._look(now_ms())
        return made

    async def release(self, account: int, number: int) -> Reservation:
        """Release one.

        Raises:
            NotFound: the account has none of that number.
        """
        async with self._turn:
            now = now_ms()
            one = await self._control.storage.read(store.find, account, number)
            await self._write(
                [*self._pay([one], now), partial(store.release, account=account, number=number, why=BY_HAND, now=now)]
            )
            await self._look(now)
            return await self._control.storage.read(store.find, account, number)

    async def change(self, account: int, number: int, longest: int | None) -> Reservation:
        """Change how long one lasts (ms), None = until it is released.

        Raises:
            NotFound: the account has none of that number.
            BadRequest: it is released.
        """
        async with self._turn:
            changed = await self._control.storage.write(store.change, account, number, longest)
            await self._look(now_ms())
        return changed

    async def stop(self, account: int, why: str) -> None:
        """Release all of an account."""
        async with self._turn:
            now = now_ms()
            mine = [one for one in self._open if one.account == account]
            if mine:
                log.warning("the reservations of account %d are released: %s", account, why)
                await self._write([*self._pay(mine, now), partial(store.release_all, account=account, why=why, now=now)])
                await self._look(now)

    def _room(self) -> Room:
        settings, capacity = self._control.settings, self._control.engine.capacity()
        names = {*settings.core_types, *(one.core_type for one in self._open)}
        sizes = {name: (found.units, found.memory) for name in names for found in (size(settings, name, 1),)}
        share = settings.reservable
        return Room(int(capacity.units * share), int(capacity.memory * share), sizes)

    # -- what is known --------------------------------------------------------------------------------------------

    @property
    def accounts(self) -> set[int]:
        """Those that have reserved something."""
        return {one.account for one in self._open}

    def shown(self, account: int | None) -> list[Reservation]:
        """What is reserved now by an account, or by all."""
        return [one for one in self._open if account is None or one.account == account]

    def owner_of(self, number: int) -> int | None:
        """The account whose reservation that is; None where it is nobody's, or has ended."""
        return next((one.account for one in self._open if one.id == number), None)

    def changed(self) -> None:
        """A worker on reserved cores came, went, or has slots ready."""
        self._news.set()

    def ended(self, account: int) -> None:
        """Jobs of an account have ended, perhaps the last ones on released cores."""
        if self._cores and any(one.account == account for one in self._open if one.id in self._cores):
            self._news.set()

    # -- the loop -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """At the server's start, behind the adoption of workers: what they stood for meanwhile is paid."""
        now = now_ms()
        await self._read()
        for one in self._open:
            last = await self._control.storage.read(stretch.newest, one.id)
            if last is not None and self._workers(_lane(one)):
                self._paid[one.id] = last.ends
            if one.released is not None:
                self._cores[one.id] = last.cores if last is not None else one.cores
        self._looked = now, time.monotonic()
        async with self._turn:
            await self._look(now)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._patience(now_ms())):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                async with self._turn:
                    await self._look(now_ms())
            except Exception:
                log.exception("a look at the reservations failed; the next one tries again")
                await asyncio.sleep(TICK)

    async def close(self) -> None:
        """The server stops: what has passed until now is paid."""
        try:
            async with self._turn:
                await self._write(self._pay(self._open, now_ms()))
        except Exception:
            log.exception("the last seconds of the reservations were not written")

    def _patience(self, now: int) -> float | None:
        """Seconds until the next look; None = until there is news."""
        ends = [one.due for one in self._open if one.due is not None and one.released is None]
        tick = STRICT if self._control.settings.spending_stops else TICK
        return min([tick, *(max(0, end - now) / 1000 for end in ends)]) if self._open else None

    async def _look(self, now: int) -> None:
        """Bring all reservations to where they belong at ``now`` (epoch ms)."""
        acts: list[Act] = []
        await self._read()
        self._wake_up(now)
        before = dict(self._paid)
        for lane, members in groupby(sorted(self._open, key=_lane), key=_lane):
            acts += self._look_at(lane, list(members), now)
        if acts:
            try:
                await self._write(acts)
            except BaseException:
                self._paid = before
                raise
            await self._read()
        self._paid = dict.fromkeys(self._paid, now)
        self._publish()

    async def _read(self) -> None:
        found = await self._control.storage.read(store.every)
        for one in found:
            await self._control.placer.know(Ready(one.kind, one.account, one.core_type, 1, 0, 5, one.env, one.vol))
        self._open = found

    def _wake_up(self, now: int) -> None:
        """Time in which the machine slept is not paid."""
        before, clock = self._looked
        self._looked = now, time.monotonic()
        if now - before - (self._looked[1] - clock) * 1000 > JUMP:
            self._paid = dict.fromkeys(self._paid, now)

    def _look_at(self, lane: Lane, members: list[Reservation], now: int) -> list[Act]:
        """What has to be written of the reservations of one lane."""
        workers, acts = self._workers(lane), list[Act]()
        if not workers:
            for one in members:
                self._paid.pop(one.id, None)
        over = {one.id: due for one in members if one.released is None and (due := one.due) is not None and due <= now}
        active = [one for one in members if one.released is None and one.id not in over]
        acts += self._begun(active, workers, now)
        for one in members:
            acts += self._pay([one], over.get(one.id, now))
            if one.id in over:
                acts.append(partial(store.release, account=one.account, number=one.id, why=AT_ITS_END, now=over[one.id]))
                if one.id in self._paid:
                    self._paid[one.id] = over[one.id]
        return acts + self._drained([one for one in members if one not in active], active, workers, now)

    def _begun(self, members: list[Reservation], workers: list[Worker], now: int) -> list[Act]:
        """Those whose slots are ready: the ones that began first are first in line."""
        acts: list[Act] = []
        ready = sum(worker.ready * worker.kind.cores for worker in workers if worker.connected)
        for one in sorted(members, key=lambda each: (each.began is None, each.id)):
            ready -= one.cores
            if ready < 0:
                break
            if one.id not in self._paid:
                self._paid[one.id] = now
            if one.began is None:
                acts.append(partial(store.begin, number=one.id, at=now))
        return acts

    def _pay(self, members: Iterable[Reservation], until: int) -> list[Act]:
        acts: list[Act] = []
        for one in members:
            since = self._paid.get(one.id)
            if since is not None and until > since:
                cores = self._cores.get(one.id, one.cores)
                acts.append(partial(stretch.pay, of=one, cores=cores, since=since, until=until))
        return acts

    def _drained(self, gone: list[Reservation], active: list[Reservation], workers: list[Worker], now: int) -> list[Act]:
        """Released ones keep the cores on which jobs still run, beyond those that others of the lane have."""
        acts: list[Act] = []
        if not all(worker.connected for worker in workers):
            return acts  # nobody knows yet what runs there
        busy = sum(min(len(worker.held), max(worker.slots, 1)) * worker.kind.cores for worker in workers)
        spare = max(0, busy - sum(one.cores for one in active))
        for one in gone:
            kept = min(self._cores.get(one.id, one.cores), spare)
            spare -= kept
            self._cores[one.id] = kept
            fresh = one.due if one.released is None else None  # its time has just ended
            if kept and fresh is not None:
                acts += self._pay([one], now)  # the cores it keeps, from then on
            elif not kept:
                acts.append(partial(store.end, number=one.id, at=now if fresh is None else fresh))
        return acts

    async def _write(self, acts: list[Act]) -> None:
        await self._control.storage.write(lambda tx: [act(tx) for act in acts])

    # -- lanes ----------------------------------------------------------------------------------------------------

    def _workers(self, lane: Lane) -> list[Worker]:
        return [worker for worker in self._control.fleet if lane_of(worker) == lane]

    def _publish(self) -> None:
        """Tell the dispatcher what is reserved."""
        there = {one.id for one in self._open}
        for known in (self._paid, self._cores):
            for number in known.keys() - there:
                del known[number]
        kept = {}
        for lane, found in groupby(sorted(self._open, key=_lane), key=_lane):
            members = list(found)
            active = [one for one in members if one.released is None]
            cores = sum(one.cores for one in active)
            held = cores + sum(self._cores.get(one.id, one.cores) for one in members if one.released is not None)
            kept[lane] = Kept(cores, held, size(self._control.settings, lane.core_type, 1).units, (active or members)[-1].kind)
        if kept != self._control.dispatcher.lanes.kept:
            self._control.dispatcher.lanes.kept = kept
            self._control.dispatcher.wake()


def _lane(one: Reservation) -> Lane:
    return Lane(one.account, one.core_type)


class ReservationShown(TypedDict):
    """A reservation for people and programs."""

    request_id: int
    type: str
    cores: int
    start_time: int | None  # epoch ms, when all its cores were ready
    max_duration: int | None  # hours
    end_time: int | None  # epoch ms, when it ended or will
    state: str  # pending, ready, releasing, ended
    why: str  # it ended
    price: int  # units a core and ms


def told(one: Reservation) -> ReservationShown:
    """See there."""
    state = "ended" if one.ended else "releasing" if one.released else "ready" if one.began else "pending"
    return {
        "request_id": one.id, "type": one.core_type, "cores": one.cores, "start_time": one.began,
        "max_duration": None if one.longest is None else one.longest // 3_600_000, "end_time": one.ended or one.due,
        "state": state, "why": one.why, "price": one.price,
    }  # fmt: skip
