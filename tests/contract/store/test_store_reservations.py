"""Reserved cores and what they cost, on both databases."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from picloud.store.db import Database
from picloud.store.meter import reservation, spent, stretch
from picloud.store.meter.reservation import Reservation, Room, Wish
from picloud.store.meter.schema import stretch as lines
from picloud.store.meter.schema import usage
from picloud.store.schema import attempt
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.money import DAY, HOUR
from tests.contract.store.storekeeper import overlapped
from tests.contract.store.storepayer import C1, FREE, Payer, moment

C2 = 130_000
ROOM = Room(12_000, 8 << 30, {"c1": (1000, 300 << 20), "c2": (2500, 800 << 20), "f2": (5500, 3750 << 20)})


@pytest.fixture
def ann(db: Database) -> Payer:
    return Payer(db)


def asking(who: Payer, core_type: str = "c2", cores: int = 1, **more: Any) -> Any:
    wish = Wish(core_type, cores, "", C2, **more)
    return lambda tx: reservation.request(tx, who.account, wish, ROOM, who.now)


def reserve(who: Payer, core_type: str = "c2", cores: int = 1, **more: Any) -> Reservation:
    made: Reservation = who.write(asking(who, core_type, cores, **more))
    return made


def pay(who: Payer, of: Reservation, since: int, until: int, cores: int | None = None) -> None:
    who.write(stretch.pay, of, of.cores if cores is None else cores, since, until)


def ledger(tx: Connection) -> tuple[int, int]:
    """What the lines of both kinds come to, and the sums."""
    of_lines = sum(int(tx.execute(select(func.coalesce(func.sum(table.c.amount), 0))).scalar_one()) for table in (attempt, lines))
    return of_lines, int(tx.execute(select(func.coalesce(func.sum(usage.c.amount), 0))).scalar_one())


def of(who: Payer, one: Reservation) -> list[Any]:
    """Its stretches."""
    found: list[Any] = who.read(
        lambda tx: tx.execute(select(lines).where(lines.c.reservation == one.id).order_by(lines.c.begins)).all()
    )
    return found


# -- room -------------------------------------------------------------------------------------------------------------


def test_what_the_machine_does_not_hold_is_refused_with_figures(ann: Payer) -> None:
    reserve(ann, "c2", 4)
    with pytest.raises(BadRequest) as refused:
        reserve(ann, "f2")
    assert refused.value.facts == {"what": "compute units", "asked": 5.5, "reservable": 12, "reserved": 10}
    assert "5.5" in str(refused.value) and "12" in str(refused.value) and "10" in str(refused.value)
    reserve(ann, "c1", 2)
    with pytest.raises(BadRequest, match="release others first"):
        reserve(ann, "c1")
    assert len(ann.read(reservation.every, ann.account)) == 2


def test_memory_is_counted_too(ann: Payer) -> None:
    small = ROOM._replace(memory=1 << 30)
    with pytest.raises(BadRequest, match="ask for 1 at most") as refused:
        ann.write(reservation.request, ann.account, Wish("c2", 2, "", C2), small, 0)
    assert refused.value.facts["what"] == "MiB of memory" and refused.value.facts["asked"] == 1600


def test_a_repeat_is_the_same_reservation(ann: Payer) -> None:
    assert reserve(ann, "c2", 4, token="a").id == reserve(ann, "c2", 4, token="a").id != reserve(ann, "c1", token="b").id


def test_two_who_ask_at_once_for_the_last_room(db: Database, other: Database) -> None:
    ann, bob = Payer(db), Payer(db, "bob")

    def second(tx: Connection) -> bool:
        try:
            asking(bob, "c2", 3)(tx)
        except BadRequest:
            return False
        return True

    assert overlapped(db, other, lambda tx: bool(asking(ann, "c2", 3)(tx)), second) == (True, False)


# -- life -------------------------------------------------------------------------------------------------------------


def test_a_life(ann: Payer) -> None:
    one = reserve(ann, longest=HOUR)
    assert (one.core_type, one.cores, one.began, one.due) == ("c2", 1, None, None)
    ann.write(reservation.begin, one.id, 5000)
    ann.write(reservation.begin, one.id, 6000)
    one = ann.read(reservation.find, ann.account, one.id)
    assert (one.began, one.due) == (5000, 5000 + HOUR)
    assert ann.write(reservation.change, ann.account, one.id, None).due is None
    one = ann.write(reservation.release, ann.account, one.id, "by hand", 7000)
    assert (one.released, one.ended, one.why) == (7000, None, "by hand")
    assert ann.write(reservation.release, ann.account, one.id, "again", 8000) == one
    with pytest.raises(BadRequest):
        ann.write(reservation.change, ann.account, one.id, HOUR)
    ann.write(reservation.end, one.id, 9000)
    assert ann.read(reservation.every) == []
    assert ann.read(reservation.find, ann.account, one.id).ended == 9000


def test_one_that_never_began_ends_when_it_is_released(ann: Payer) -> None:
    one = reserve(ann)
    assert ann.write(reservation.release, ann.account, one.id, "by hand", 7000).ended == 7000
    ann.write(reservation.begin, one.id, 8000)
    assert ann.read(reservation.find, ann.account, one.id).began is None


def test_all_of_an_account_and_nobody_else_s(ann: Payer, db: Database) -> None:
    bob = Payer(db, "bob")
    reserve(ann), reserve(ann)
    his = reserve(bob)
    ann.write(reservation.release_all, ann.account, "no credit", 5)
    assert [one.id for one in ann.read(reservation.every)] == [his.id]
    for act in (
        reservation.find,
        lambda tx, a, n: reservation.release(tx, a, n, "", 1),
        lambda tx, a, n: reservation.change(tx, a, n, 1),
    ):
        with pytest.raises(NotFound):
            ann.write(act, ann.account, his.id)


# -- money ------------------------------------------------------------------------------------------------------------


def test_a_month_s_end_is_a_line_s_end(ann: Payer) -> None:
    one = reserve(ann, cores=2)
    begins, midnight, ends = moment(2026, 1, 31, 23), moment(2026, 2, 1), moment(2026, 2, 1, 0, 0, 1)
    pay(ann, one, begins, begins + 1)
    pay(ann, one, begins + 1, ends)
    assert [(row.begins, row.ends, row.billed_ms, row.amount) for row in of(ann, one)] == [
        (begins, midnight, HOUR, HOUR * 2 * C2),
        (midnight, ends, 1000, 1000 * 2 * C2),
    ]
    assert ann.read(spent.days, ann.account, 0) == {begins // DAY: HOUR * 2 * C2, midnight // DAY: 1000 * 2 * C2}
    assert ann.standing(ends).spent == 1000 * 2 * C2 and ann.standing(ends).left == FREE - 1000 * 2 * C2
    page = ann.read(spent.sums, ann.account, "function")
    assert [(row.key, row.attempts, row.core_ms) for row in page.rows] == [("cloud.realtime", 0, 2 * (HOUR + 1000))]


def test_a_gap_and_other_cores_begin_another_line(ann: Payer) -> None:
    one = reserve(ann, cores=4)
    for since, until, cores in ((1000, 2000, 4), (2000, 3000, 4), (3000, 4000, 1), (7000, 8000, 1)):
        pay(ann, one, since, until, cores)
    assert [(row.begins, row.ends, row.cores) for row in of(ann, one)] == [(1000, 3000, 4), (3000, 4000, 1), (7000, 8000, 1)]


def test_time_is_paid_once(ann: Payer) -> None:
    one = reserve(ann)
    for since, until in ((1000, 2000), (1000, 2000), (500, 3000), (2500, 2600), (3000, 1)):
        pay(ann, one, since, until)
    assert sum(row.amount for row in of(ann, one)) == 2000 * C2


def test_two_servers_pay_the_same_time(db: Database, other: Database) -> None:
    ann = Payer(db)
    one = reserve(ann)

    def paying(tx: Connection) -> None:
        stretch.pay(tx, one, 1, 1000, 2000)

    overlapped(db, other, paying, paying)
    assert ann.read(ledger) == (1000 * C2, 1000 * C2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sums_are_those_of_all_lines_to_the_unit(ann: Payer, db: Database, seed: int) -> None:
    chance = random.Random(seed)
    payers = [ann, Payer(db, "bob")]
    held = [(who, reserve(who, core_type)) for who in payers for core_type in ("c1", "c2")]
    now = dict.fromkeys(range(len(held)), moment(2026, 1, 31, 20))
    expected = 0
    for _ in range(60):
        number = chance.randrange(len(held))
        who, one = held[number]
        if chance.random() < 0.3:
            ms = chance.randrange(1, 10_000)
            who.run(ms)
            expected += ms * C1
            continue
        since = now[number] + chance.choice((0, 0, 0, 77))
        now[number] = since + chance.randrange(1, 3 * HOUR)
        cores = chance.choice((1, 1, 3))
        pay(who, one, since, now[number], cores)
        expected += (now[number] - since) * cores * C2
    assert ann.read(ledger) == (expected, expected)
    assert sum(sum(who.read(spent.days, who.account, 0).values()) for who in payers) == expected
