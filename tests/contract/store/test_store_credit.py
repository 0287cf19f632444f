"""Free hours, grants, limits and estimates, on both databases."""

from __future__ import annotations

import pytest

from picloud.store.db import Database
from picloud.store.meter import credit, runs, spent
from picloud.store.meter.credit import Given, Kind
from picloud.wire.error import BadRequest
from picloud.wire.money import DAY, DOLLAR
from tests.contract.store.storepayer import C1, FREE, Payer, moment


@pytest.fixture
def ann(db: Database) -> Payer:
    return Payer(db)


# -- money ------------------------------------------------------------------------------------------------------------


def test_twenty_c1_hours_are_exactly_the_free_ones(ann: Payer) -> None:
    assert FREE == DOLLAR == 72_000_000 * C1
    ann.now = moment(2026, 5, 3)
    assert ann.standing().left == FREE and not ann.standing().stops
    ann.run(71_999_999)
    assert ann.standing().left == C1 and not ann.standing().stops
    ann.run(1)
    spent_up = ann.standing()
    assert (spent_up.spent, spent_up.left, spent_up.beyond, spent_up.stops) == (FREE, 0, 0, "no credit is left")
    ann.write(credit.grant, ann.account, Given(5 * DOLLAR, "thesis", "root"), ann.tick())
    lifted = ann.standing()
    assert lifted.left == 5 * DOLLAR and not lifted.stops
    june = ann.standing(moment(2026, 6, 1))
    assert (june.spent, june.free_left, june.left) == (0, FREE, FREE + 5 * DOLLAR)
    assert ann.standing(moment(2026, 6, 1) - 1).free_left == 0


def test_free_hours_pay_first_then_the_grant_that_ends_soonest(ann: Payer) -> None:
    ann.now = moment(2026, 5, 3)
    for reason, expires in (("never", None), ("late", moment(2026, 9, 1)), ("soon", moment(2026, 7, 1))):
        ann.write(credit.grant, ann.account, Given(DOLLAR, reason, "root", expires), ann.tick())
    ann.run(72_000_000 * 2 + 7)
    told = {grant.reason: grant.left for grant in ann.standing().grants}
    assert told == {"never": DOLLAR, "late": DOLLAR - 7 * C1, "soon": 0}
    june = moment(2026, 6, 15)
    ann.now = june
    ann.run(72_000_000 + 9)
    earlier = {day: amount for day, amount in ann.read(spent.days, ann.account, 0).items() if day * DAY < moment(2026, 6, 1)}
    assert ann.read(credit.standing, ann.account, ann.now, FREE, earlier) == ann.standing()
    assert {grant.reason: grant.left for grant in ann.standing().grants} == told | {"late": DOLLAR - 16 * C1}
    after = ann.standing(moment(2026, 9, 1))
    assert after.left == FREE + DOLLAR  # what was left of the late one has expired


def test_what_nothing_pays_for_is_told(ann: Payer) -> None:
    ann.now = moment(2026, 5, 3)
    ann.run(72_000_000 + 10)
    assert (ann.standing().left, ann.standing().beyond) == (0, 10 * C1)
    ann.now = moment(2026, 5, 4)
    ann.write(credit.grant, ann.account, Given(DOLLAR, "", "root"), ann.now)
    assert ann.standing().left == DOLLAR  # a grant pays for no day before it
    ann.run(10)
    assert (ann.standing().left, ann.standing().beyond) == (DOLLAR - 10 * C1, 10 * C1)


def test_a_month_s_free_hours_stay_what_they_were(ann: Payer) -> None:
    ann.now = moment(2026, 5, 3)
    for _ in range(2):
        ann.write(credit.open_month, ann.account, ann.now, FREE)
    less = ann.read(credit.standing, ann.account, ann.now, FREE // 2)
    assert less.free == FREE
    assert ann.read(credit.standing, ann.account, moment(2026, 6, 3), FREE // 2).free == FREE // 2


def test_limits_count_for_a_month(ann: Payer) -> None:
    ann.now = moment(2026, 5, 3)
    ann.write(credit.limit, ann.account, Kind.hard, 100 * C1, "root", ann.now)
    ann.write(credit.limit, ann.account, Kind.soft, 50 * C1, "root", ann.now)
    ann.run(99)
    assert ann.standing().warns and not ann.standing().stops
    ann.run(1)
    assert ann.standing().stops == "the spending limit of this month is reached"
    assert not ann.standing(moment(2026, 6, 1)).stops
    ann.write(credit.limit, ann.account, Kind.hard, 200 * C1, "root", ann.tick())
    assert (ann.standing().hard, ann.standing().stops) == (200 * C1, "")
    ann.write(credit.limit, ann.account, Kind.hard, None, "root", ann.tick())
    assert ann.standing().hard is None and ann.standing().soft == 50 * C1
    ann.write(credit.limit, ann.account, Kind.hard, 0, "root", ann.tick())
    assert ann.standing().stops


def test_a_grant_is_given_once_however_often_it_is_asked_for(ann: Payer) -> None:
    given = Given(DOLLAR, "thesis", "root", token="abc")
    assert ann.write(credit.grant, ann.account, given, ann.now) == ann.write(credit.grant, ann.account, given, ann.tick())
    assert len(ann.standing().grants) == 1
    ann.write(credit.grant, ann.account, given._replace(token=""), ann.now)
    ann.write(credit.grant, ann.account, given._replace(token=""), ann.now)
    assert len(ann.standing().grants) == 3


@pytest.mark.parametrize(
    "given",
    [
        Given(0, "", ""),
        Given(-1, "", ""),
        Given(1 << 70, "", ""),
        Given(1, "x" * 1001, ""),
        Given(1, "\0", ""),
        Given(1, "", "", 5),
    ],
)
def test_grants_that_cannot_be_are_refused(ann: Payer, given: Given) -> None:
    with pytest.raises(BadRequest):
        ann.write(credit.grant, ann.account, given, 1_000)
    assert ann.standing().grants == []


# -- estimates --------------------------------------------------------------------------------------------------------


def test_runs_are_measured_by_function_and_type(ann: Payer) -> None:
    assert ann.read(runs.measured, ann.account, "f", "c1") is None
    for ms in range(100, 200, 10):
        ann.run(ms)
    found = ann.read(runs.measured, ann.account, "f", "c1")
    assert found == runs.Measured(10, "c1", 145, 110, 180)
    assert ann.read(runs.measured, ann.account, "f", "f2") == found
    ann.run(900, core_type="f2")
    assert ann.read(runs.measured, ann.account, "f", "f2") == runs.Measured(1, "f2", 900, 900, 900)
    assert ann.read(runs.measured, ann.account, "g", "c1") is None
