"""Crons: a time and the job that comes of it are one transaction."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, delete

from picloud.store import account as accounts
from picloud.store import code
from picloud.store.call import cron, past
from picloud.store.call.cron import LATE_MS, NEVER, Cron, Ticked
from picloud.store.call.past import Run
from picloud.store.db import Database
from picloud.store.schema import account
from picloud.wire.call import Clock, Missed, Overlap, Register, Why
from picloud.wire.error import NotFound
from picloud.wire.message import Code
from tests.contract.store.storekeeper import CODE, Keeper, done, submission

MINUTE, HOUR = 60_000, 3_600_000


class Clocks(Keeper):
    """A keeper with crons. It is early in 1970."""

    def register(
        self, label: str = "each", schedule: str = "* * * * *", brought: tuple[Code, ...] = (CODE,), **more: Any
    ) -> list[str]:
        options = more.pop("options", {})
        submit = msgspec.structs.replace(submission(1, **options), code=list(brought))
        asked = Register(label, submit, host="her-machine", clock=Clock(schedule, **more))
        missing: list[str] = self.write(cron.register, self.account, asked, "", None, self.now)
        return missing

    def find(self, label: str = "each") -> Cron:
        found: Cron = self.read(cron.find, self.account, label)
        return found

    def due(self, now: int) -> list[int]:
        return [number for _, number in self.read(cron.due, now)]

    def at(self, now: int, db: Database | None = None) -> list[int]:
        """The jobs that come of all times up to now."""
        made: list[int] = []
        while numbers := self.due(now):
            ticked: Ticked = self.write(cron.tick, numbers, now, db=db)
            made += ticked.jids
        return made

    def runs(self, label: str = "each") -> list[tuple[int, str, bool]]:
        found: list[Run] = self.read(past.of, self.find(label).call.id, 100)
        return [(one.at, Why(one.why).name, one.jid > 0) for one in reversed(found)]


@pytest.fixture
def ann(db: Database) -> Clocks:
    return Clocks(db)


def test_code_that_is_missing_is_asked_for_and_nothing_is_stored(ann: Clocks) -> None:
    assert ann.register(brought=()) == [CODE.digest]
    assert ann.read(cron.every, ann.account) == [] and ann.read(cron.next_due) is None
    assert ann.register() == []
    assert ann.read(cron.next_due) == MINUTE


def test_a_time_makes_one_job_and_moves_the_clock_on(ann: Clocks) -> None:
    ann.register()
    assert ann.at(MINUTE - 1) == []
    (jid,) = ann.at(MINUTE)
    assert ann.status(jid) == "queued"
    assert ann.at(MINUTE) == [] and ann.read(cron.next_due) == 2 * MINUTE
    found = ann.find()
    assert (found.last_run, found.last_jid, found.call.label, found.call.machine) == (MINUTE, jid, "each", "her-machine")
    assert ann.runs() == [(MINUTE, "time", True)]
    (lease,) = ann.take(ann.worker())
    assert (lease.jid, lease.data) == (jid, b"\x80\x05)}\x86."), "it is called without arguments"


def test_whoever_dies_before_the_commit_has_done_nothing(ann: Clocks) -> None:
    ann.register()
    numbers = ann.due(MINUTE)

    def dying(tx: Connection) -> None:
        assert cron.tick(tx, numbers, MINUTE).jids
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            ann.write(dying)
        assert ann.find().due == MINUTE and ann.runs() == []
    assert len(ann.at(MINUTE)) == 1
    assert ann.runs() == [(MINUTE, "time", True)]
    assert ann.write(cron.tick, numbers, MINUTE).jids == [], "and whoever comes later finds nothing to do"


def test_two_that_see_the_same_time_make_one_job(ann: Clocks, other: Database) -> None:
    for number in range(20):
        ann.register(f"c{number}")
    numbers = ann.due(MINUTE)

    def tick(db: Database) -> int:
        ticked: Ticked = ann.write(cron.tick, numbers, MINUTE, db=db)
        return len(ticked.jids)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(tick, [ann.db, other, ann.db, other])) == 20


def test_a_cron_of_the_same_label_is_replaced_and_its_history_stays(ann: Clocks) -> None:
    ann.register()
    ann.at(MINUTE)
    ann.now = MINUTE + 5
    number = ann.find().call.id
    ann.register(schedule="0 * * * *", timezone="Asia/Kathmandu", overlap=int(Overlap.skip))
    found = ann.find()
    assert (found.call.id, found.call.created, found.due) == (number, MINUTE + 5, HOUR // 2), "05:30 there when it began"
    assert found.clock == Clock("0 * * * *", "Asia/Kathmandu", False, 0, Overlap.skip)
    assert ann.runs() == [(MINUTE, "time", True)]
    assert len(ann.read(cron.every, ann.account)) == 1


def test_options_go_with_the_jobs(ann: Clocks) -> None:
    ann.register(options={"label": "each", "priority": 2, "max_runtime_ms": 9})
    (jid,) = ann.at(MINUTE)
    assert ann.kind() and ann.status(jid) == "queued"
    kept = ann.find().call.submit
    assert (kept.options.priority, kept.options.label, kept.code) == (2, "each", [])


def test_a_late_look_still_runs_a_time_within_a_minute(ann: Clocks) -> None:
    ann.register(schedule="0 * * * *")
    assert len(ann.at(HOUR + LATE_MS)) == 1
    assert ann.runs() == [(HOUR, "time", True)]


def test_missed_times_are_skipped_but_for_the_newest_minute(ann: Clocks) -> None:
    ann.register(schedule="0 * * * *")
    assert ann.at(4 * HOUR + LATE_MS + 1) == []
    assert ann.runs() == [(HOUR, "downtime", False)] and ann.find().due == 5 * HOUR
    ann.register("other")
    jids = ann.at(10 * HOUR + 30_000)
    assert len(jids) == 2, "each found the time of half a minute ago"
    assert ann.runs("other") == [(MINUTE, "downtime", False), (10 * HOUR, "time", True)]


def test_missed_times_may_make_one_run(ann: Clocks) -> None:
    ann.register(schedule="0 * * * *", missed=int(Missed.once))
    (jid,) = ann.at(4 * HOUR + 30_000)
    assert ann.runs() == [(HOUR, "missed", True)] and ann.find().due == 5 * HOUR
    assert ann.find().last_jid == jid


def test_a_clock_that_is_put_back_repeats_nothing(ann: Clocks) -> None:
    ann.register()
    assert len(ann.at(10 * MINUTE)) == 1
    assert ann.at(5 * MINUTE) == [] and ann.find().due == 11 * MINUTE


def test_a_time_may_be_skipped_while_the_run_before_is_not_over(ann: Clocks) -> None:
    ann.register(overlap=int(Overlap.skip))
    (jid,) = ann.at(MINUTE)
    assert ann.at(2 * MINUTE) == []
    assert (ann.find().last_run, ann.find().last_jid) == (MINUTE, jid)
    by = ann.worker()
    (lease,) = ann.take(by)
    ann.start(by, lease)
    assert ann.at(3 * MINUTE) == []
    ann.finish(by, done(lease))
    assert len(ann.at(4 * MINUTE)) == 1
    assert [why for _, why, _ in ann.runs()] == ["time", "overlap", "overlap", "time"]


def test_runs_may_overlap(ann: Clocks) -> None:
    ann.register()
    assert len(ann.at(MINUTE)) == len(ann.at(2 * MINUTE)) == 1


def test_a_run_by_hand_is_one_job_a_token_and_leaves_the_clock_alone(ann: Clocks) -> None:
    ann.register(schedule="0 0 1 1 *")
    due, token = ann.find().due, os.urandom(16)
    jids = [ann.write(cron.by_hand, ann.account, "each", one, now).jids for one, now in [(token, 7), (token, 8), (b"2" * 16, 9)]]
    assert jids[0] == jids[1] != jids[2]
    assert ann.runs() == [(7, "hand", True), (9, "hand", True)]
    assert ann.find().due == due


def test_one_that_cannot_be_submitted_is_written_down_and_comes_again(ann: Clocks) -> None:
    ann.register()
    number = ann.find().call.id
    ann.write(cron.spoil, number, "there is no environment 'gone'", MINUTE)
    ann.write(cron.spoil, number, "once more", MINUTE)
    assert ann.runs() == [(MINUTE, "failed", False)] and ann.find().due == 2 * MINUTE
    assert ann.read(past.of, number, 1)[0].trouble == "there is no environment 'gone'"


def test_a_cron_goes_with_its_history_and_its_jobs_stay(ann: Clocks) -> None:
    ann.register()
    number = ann.find().call.id
    (jid,) = ann.at(MINUTE)
    ann.write(cron.remove, ann.account, "each")
    with pytest.raises(NotFound, match="no cron 'each'"):
        ann.find()
    assert ann.at(10 * MINUTE) == [] and ann.read(cron.next_due) is None
    assert ann.read(past.of, number, 9) == [] and ann.status(jid) == "queued"
    with pytest.raises(NotFound):
        ann.write(cron.remove, ann.account, "each")
    ann.register()
    assert ann.find().call.id != number and ann.runs() == []


def test_another_account_sees_nothing(ann: Clocks) -> None:
    bob = ann.write(accounts.create, "bob", 5)
    ann.register()
    assert ann.read(cron.every, bob) == []
    for act in (lambda tx: cron.remove(tx, bob, "each"), lambda tx: cron.by_hand(tx, bob, "each", bytes(16), 5)):
        with pytest.raises(NotFound):
            ann.write(act)
    assert ann.find().due == MINUTE


def test_the_longest_due_come_first_and_all_come(ann: Clocks) -> None:
    ann.register("late", "5 * * * *")
    for number in range(250):
        ann.register(f"c{number}", "4 * * * *")
    assert ann.read(cron.next_due) == 4 * MINUTE
    numbers = ann.due(5 * MINUTE)
    assert len(numbers) == cron.AT_ONCE and ann.find("late").call.id not in numbers
    assert len(set(ann.at(5 * MINUTE))) == 251


def test_a_schedule_without_a_further_time_rests(ann: Clocks) -> None:
    ann.register(schedule="0 0 29 2 mon")
    ann.write(lambda tx: tx.exec_driver_sql("UPDATE cron SET due = 253100000000000"))
    assert len(ann.at(253_100_000_000_001)) == 1
    assert ann.find().due == NEVER and ann.read(cron.next_due) is None


def test_a_time_zone_that_has_gone_holds_up_nobody(ann: Clocks) -> None:
    ann.register("lost")
    ann.register()
    ann.write(lambda tx: tx.exec_driver_sql("UPDATE cron SET timezone = 'Nowhere/City' WHERE call = 1"))
    assert ann.find("lost").call.id == 1
    assert len(ann.at(MINUTE)) == 2, "the time that was known still comes"
    assert len(ann.at(2 * MINUTE)) == 1 and ann.find("lost").due == NEVER
    ann.write(cron.spoil, ann.find().call.id, "x", 3 * MINUTE)
    assert ann.find().due == 4 * MINUTE


def test_code_of_a_cron_is_not_swept(ann: Clocks) -> None:
    ann.register()
    newest, loose = ann.read(code.every)
    assert loose == set()
    ann.write(cron.remove, ann.account, "each")
    newest, loose = ann.read(code.every)
    assert loose == {(ann.account, CODE.digest)}
    ann.register()
    assert ann.write(code.remove, loose, newest, 10**15) == 0, "registered meanwhile"


def test_old_runs_go(ann: Clocks) -> None:
    ann.register()
    for minute in range(1, 6):
        ann.at(minute * MINUTE)
    assert ann.write(past.expire, 3 * MINUTE, 1) is True
    assert ann.write(past.expire, 3 * MINUTE, 5) is False
    assert [at for at, _, _ in ann.runs()] == [3 * MINUTE, 4 * MINUTE, 5 * MINUTE]


@pytest.mark.parametrize("gone", [False, True], ids=["off", "gone"])
def test_crons_of_an_account_that_is_off_or_gone_rest(ann: Clocks, gone: bool) -> None:
    other = Clocks(ann.db, "bob")
    ann.register()
    other.register("later", "*/2 * * * *")
    number = ann.find().call.id
    if gone:
        ann.write(lambda tx: tx.execute(delete(account).where(account.c.id == ann.account)))
    else:
        ann.write(accounts.switch, ann.account, False)
    assert ann.read(cron.next_due) == 2 * MINUTE, "the clock does not wake for it"
    assert ann.at(MINUTE) == []
    assert len(other.at(2 * MINUTE)) == 1
    for act in (
        lambda: ann.write(cron.by_hand, ann.account, "each", os.urandom(16), MINUTE),
        lambda: ann.write(cron.tick, [number], MINUTE),  # who looked a moment before it was switched off
    ):
        with pytest.raises(NotFound, match="switched off, or gone"):
            act()
    assert ann.runs() == [] and ann.find().due == MINUTE
    if not gone:
        ann.write(accounts.switch, ann.account, True)
        assert ann.read(cron.next_due) == MINUTE
        ann.at(HOUR)
        assert ann.runs() == [(MINUTE, "downtime", False), (HOUR, "time", True)]
