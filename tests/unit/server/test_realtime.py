"""Reservations begin, are paid and end by the clock that is passed in and by what workers say of their slots."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import func, select

from picloud.engine.base import Capacity
from picloud.server import realtime
from picloud.server.fleet import Fleet, Worker
from picloud.server.kind import Kind
from picloud.server.lanes import Lane, Lanes
from picloud.server.realtime import Realtime
from picloud.server.storage import Storage
from picloud.settings import Settings
from picloud.store import account as accounts
from picloud.store.db import Database
from picloud.store.meter import reservation as store
from picloud.store.meter import spent
from picloud.store.meter.reservation import Reservation, Wish
from picloud.store.meter.schema import stretch, usage
from picloud.wire.money import DAY, HOUR

C2, T = 130_000, 20 * 365 * DAY


class Line:
    def send(self, message: bytes) -> None:
        """Nobody listens."""


class House:
    """What ``Realtime`` sees of control: a real store, and workers that say what the test says."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.settings, self.fleet = settings, Fleet()
        self.storage = Storage(db, settings)
        self.engine = SimpleNamespace(capacity=lambda: Capacity(2, 16 << 30, 16_000))
        self.dispatcher = SimpleNamespace(lanes=Lanes(), wake=lambda: None)
        self.meter = SimpleNamespace(stopped={})
        self.placer = SimpleNamespace(know=self._know)
        self.account: int = db.write(accounts.create, "ann", 1).result()
        self.realtime = Realtime(cast(Any, self))

    async def _know(self, row: Any) -> None:
        """Every kind is known."""

    async def ask(self, cores: int = 1, hours: int | None = None) -> Reservation:
        longest = None if hours is None else hours * HOUR
        return await self.realtime.request(self.account, Wish("c2", cores, "", C2, longest))

    async def look(self, now: int) -> list[Reservation]:
        await self.realtime._look(now)
        return self.realtime.shown(None)

    def place(self, ready: int, held: int = 0) -> Worker:
        kind = Kind(1, self.account, "ann", "c2", 1, 2500, 1, 2, price=C2)
        worker = Worker(1, "w", b"", kind, reserved=True)
        worker.line, worker.slots, worker.ready = Line(), ready, ready
        worker.held = dict.fromkeys(range(held), (1, b""))
        self.fleet.add(worker)
        return worker

    async def paid(self) -> list[tuple[int, int, int]]:
        """(begins, ends, cores) of all lines; the sums are theirs."""

        def read(tx: Any) -> Any:
            rows = tx.execute(select(stretch).order_by(stretch.c.begins)).all()
            total = tx.execute(select(func.coalesce(func.sum(usage.c.amount), 0))).scalar_one()
            assert total == sum(row.amount for row in rows)
            assert all(row.amount == (row.ends - row.begins) * row.cores * C2 for row in rows)
            return [(row.begins - T, row.ends - T, row.cores) for row in rows]

        found: list[tuple[int, int, int]] = await self.storage.read(read)
        return found

    def again(self) -> None:
        """Another server on the same store; the workers live on."""
        self.dispatcher.lanes = Lanes()
        self.realtime = Realtime(cast(Any, self))

    async def every(self, number: int = 1) -> Reservation:
        return await self.storage.read(store.find, self.account, number)

    def kept(self) -> tuple[int, int]:
        found = self.dispatcher.lanes.kept.get(Lane(self.account, "c2"))
        return (found.cores, found.held) if found else (0, 0)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """The wall clock stands at T but for what tests pass in; the machine never sleeps but where they say so."""
    monkeypatch.setattr(realtime, "now_ms", lambda: T)
    db = Database.open(f"sqlite:///{tmp_path}/picloud.sqlite")
    yield House(db, Settings(home=str(tmp_path)))
    db.close()


@pytest.fixture(autouse=True)
def _awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime, "JUMP", 1 << 60)


def played(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(cast(Any, story()))


def test_it_begins_when_all_its_slots_are_ready(house: House) -> None:
    async def story() -> None:
        await house.ask(cores=2)
        assert house.kept() == (2, 2), "room is kept for it while it is made ready"
        worker = house.place(ready=1)
        (one,) = await house.look(T + 1000)
        assert one.began is None and await house.paid() == []
        worker.ready = 2
        (one,) = await house.look(T + 2000)
        assert one.began == T + 2000
        await house.look(T + 7000)
        worker.ready = 1  # an interpreter is made anew: that is the account's own doing
        await house.look(T + 9500)
        assert await house.paid() == [(2000, 9500, 2)]

    played(story)


def test_who_began_first_is_first_in_line(house: House) -> None:
    async def story() -> None:
        await house.ask(cores=1)
        worker = house.place(ready=1)
        await house.look(T + 1000)
        await house.ask(cores=2)
        worker.ready = 2
        assert [one.began for one in await house.look(T + 2000)] == [T + 1000, None]
        worker.ready = 3
        assert [one.began for one in await house.look(T + 3000)] == [T + 1000, T + 3000]

    played(story)


def test_it_ends_by_itself_to_the_millisecond(house: House) -> None:
    async def story() -> None:
        await house.ask(hours=1)
        house.place(ready=1)
        await house.look(T + 1000)
        await house.look(T + HOUR - 5000)
        assert house.realtime._patience(T + HOUR + 500) == 0.5
        assert await house.look(T + HOUR + 4000) == []
        one = await house.every()
        assert (one.released, one.ended, one.why) == (T + 1000 + HOUR, T + 1000 + HOUR, "its time was over")
        assert await house.paid() == [(1000, 1000 + HOUR, 1)] and house.kept() == (0, 0)

    played(story)


def test_a_job_that_runs_beyond_the_end_is_paid_by_the_core_it_holds(house: House) -> None:
    async def story() -> None:
        await house.ask(cores=2, hours=1)
        worker = house.place(ready=2, held=1)
        await house.look(T)
        await house.look(T + HOUR + 400)
        worker.held.clear()
        await house.look(T + HOUR + 900)
        assert await house.paid() == [(0, HOUR, 2), (HOUR, HOUR + 900, 1)]

    played(story)


def test_a_longer_time_can_be_had_before_the_end(house: House) -> None:
    async def story() -> None:
        await house.ask(hours=1)
        house.place(ready=1)
        await house.look(T)
        await house.realtime.change(house.account, 1, 2 * HOUR)
        assert len(await house.look(T + HOUR)) == 1
        await house.realtime.change(house.account, 1, HOUR)
        assert await house.look(T + HOUR + 10) == []
        assert await house.paid() == [(0, HOUR, 1)], "what is paid is paid once"

    played(story)


def test_released_cores_are_paid_as_long_as_jobs_run_on_them(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await house.ask(cores=3)
        worker = house.place(ready=3, held=2)
        await house.look(T)
        monkeypatch.setattr(realtime, "now_ms", lambda: T + 1000)
        await house.realtime.release(house.account, 1)
        assert house.kept() == (0, 2), "no job begins there, and two run"
        worker.held.popitem()
        house.realtime.ended(house.account)
        assert house.realtime._news.is_set()
        await house.look(T + 2000)
        worker.held.clear()
        assert await house.look(T + 3000) == []
        assert await house.paid() == [(0, 1000, 3), (1000, 2000, 2), (2000, 3000, 1)]

    played(story)


def test_jobs_of_the_other_reservation_keep_no_released_cores(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await house.ask(cores=1)
        await house.ask(cores=1)
        house.place(ready=2, held=1)
        await house.look(T)
        monkeypatch.setattr(realtime, "now_ms", lambda: T + 1000)
        assert (await house.realtime.release(house.account, 1)).ended == T + 1000
        assert house.kept() == (1, 1)

    played(story)


def test_a_restart_is_paid_and_goes_on_where_workers_lived(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await house.ask()
        worker = house.place(ready=1)
        await house.look(T)
        await house.look(T + 5000)
        house.again()
        worker.line = None  # adopted, and not connected yet
        monkeypatch.setattr(realtime, "now_ms", lambda: T + 30_000)
        await house.realtime.open()
        assert await house.paid() == [(0, 30_000, 1)] and house.kept() == (1, 1)

    played(story)


def test_a_server_that_stops_in_good_order_has_written_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await house.ask()
        house.place(ready=1)
        await house.look(T)
        monkeypatch.setattr(realtime, "now_ms", lambda: T + 1234)
        await house.realtime.close()
        assert await house.paid() == [(0, 1234, 1)]

    played(story)


def test_time_without_its_worker_is_not_paid(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await house.ask()
        house.place(ready=1)
        await house.look(T)
        await house.look(T + 5000)
        house.fleet.remove("w")
        house.again()
        monkeypatch.setattr(realtime, "now_ms", lambda: T + DAY)
        await house.realtime.open()
        assert house.kept() == (1, 1), "it is made ready again"
        house.place(ready=1)
        await house.look(T + DAY + 700)
        await house.look(T + DAY + 900)
        assert (await house.every()).began == T
        assert await house.paid() == [(0, 5000, 1), (DAY + 700, DAY + 900, 1)]

    played(story)


def test_a_reservation_whose_time_ended_while_the_server_was_down(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await house.ask(hours=1)
        house.place(ready=1)
        await house.look(T)
        house.fleet.remove("w")
        house.again()
        monkeypatch.setattr(realtime, "now_ms", lambda: T + DAY)
        await house.realtime.open()
        assert (await house.every()).released == T + HOUR and house.kept() == (0, 0) and await house.paid() == []

    played(story)


def test_a_released_one_of_which_jobs_run_goes_on_after_a_restart(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await house.ask(cores=2)
        worker = house.place(ready=2, held=1)
        await house.look(T)
        monkeypatch.setattr(realtime, "now_ms", lambda: T + 1000)
        await house.realtime.release(house.account, 1)
        await house.look(T + 2000)
        house.again()
        worker.line, worker.held = None, {}
        monkeypatch.setattr(realtime, "now_ms", lambda: T + 3000)
        await house.realtime.open()
        assert (await house.every()).ended is None, "its worker has not said yet what it holds"
        worker.line = Line()
        await house.look(T + 4000)
        assert (await house.every()).ended == T + 4000
        assert (await house.paid())[-1] == (1000, 4000, 1)

    played(story)


def test_a_machine_that_slept_costs_nothing_meanwhile(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await house.ask()
        house.place(ready=1)
        await house.look(T)
        monkeypatch.setattr(realtime, "JUMP", 60_000)
        house.realtime._looked = (T, time.monotonic())
        await house.look(T + 3 * DAY)
        house.realtime._looked = (T + 3 * DAY, time.monotonic() - 5)
        await house.look(T + 3 * DAY + 5000)
        assert await house.paid() == [(3 * DAY, 3 * DAY + 5000, 1)]

    played(story)


def test_a_clock_that_goes_back_pays_nothing_twice(house: House) -> None:
    async def story() -> None:
        await house.ask()
        house.place(ready=1)
        for at in (0, 5000, 1000, 4000, 6000):
            await house.look(T + at)
        assert await house.paid() == [(0, 6000, 1)]
        total = await house.storage.read(spent.days, house.account, 0)
        assert sum(total.values()) == 6000 * C2

    played(story)


def test_an_account_that_is_stopped_loses_its_cores_and_gets_no_others(house: House) -> None:
    async def story() -> None:
        await house.ask()
        house.place(ready=1)
        await house.look(T)
        house.meter.stopped[house.account] = "no credit is left"
        await house.realtime.stop(house.account, "no credit is left")
        assert (await house.every()).why == "no credit is left"
        with pytest.raises(realtime.BadRequest, match="no credit is left"):
            await house.ask()

    played(story)


def test_a_write_that_fails_is_made_up_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await house.ask()
        house.place(ready=1)
        await house.look(T)
        write = house.storage.write

        async def full(*_: Any, **__: Any) -> None:
            raise OSError("the disk is full")

        monkeypatch.setattr(house.storage, "write", full)
        with pytest.raises(OSError, match="full"):
            await house.look(T + 5000)
        monkeypatch.setattr(house.storage, "write", write)
        await house.look(T + 9000)
        assert await house.paid() == [(0, 9000, 1)]

    played(story)
