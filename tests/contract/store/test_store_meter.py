"""The ledger, and its daily sums, on both databases."""

from __future__ import annotations

import random
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, func, select

from picloud.store import job, migrate, retention
from picloud.store.act import finish, kill
from picloud.store.db import Database
from picloud.store.meter import credit, daily, spent
from picloud.store.meter.schema import purpose, usage
from picloud.store.schema import attempt
from picloud.wire.error import BadRequest
from picloud.wire.job import Cause
from picloud.wire.message import Lease
from picloud.wire.money import DAY
from tests.contract.store.storekeeper import overlapped, submission
from tests.contract.store.storepayer import C1, F2, Payer, ends, moment


@pytest.fixture
def ann(db: Database) -> Payer:
    return Payer(db)


# -- lines ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("us", "cause", "unpaid", "billed"),
    [
        (1, Cause.none, 0, 1),
        (1000, Cause.none, 0, 1),
        (1001, Cause.none, 0, 2),
        (0, Cause.none, 0, 0),
        (5_000_000, Cause.none, 4_000_000, 1000),
        (5_000_000, Cause.none, 9_000_000, 0),
        (5_000_000, Cause.none, -9_000_000, 5000),
        (7_000, Cause.exception, 0, 7),
        (7_000, Cause.out_of_memory, 0, 7),
        (7_000, Cause.timeout, 0, 7),
        (7_000, Cause.worker_lost, 0, 0),
        (7_000, Cause.environment, 0, 0),
    ],
)
def test_a_line_is_billed_by_begun_milliseconds(ann: Payer, us: int, cause: Cause, unpaid: int, billed: int) -> None:
    jid = ann.map(1, restartable=False).first
    by = ann.worker()
    (one,) = ann.take(by)
    ann.finish(by, ends(one, us, cause, unpaid))
    line = ann.line(jid)
    assert (line.billed_ms, line.cores, line.price, line.amount) == (billed, 1, C1, billed * C1)


def test_cores_multiply(ann: Payer) -> None:
    ann.price = F2
    (one,) = ann.run(250, core_type="f2", cores=8)
    assert ann.line(one.jid).amount == 250 * 8 * F2


def test_a_job_is_billed_by_the_price_at_which_it_was_given_out(ann: Payer) -> None:
    ann.map(2)
    by = ann.worker()
    (early,) = ann.take(by, 1)
    ann.price = 2 * C1
    (late,) = ann.take(by, 1)
    ann.finish(by, ends(early, 1000), ends(late, 1000))
    assert (ann.line(early.jid).amount, ann.line(late.jid).amount) == (C1, 2 * C1)


def test_a_killed_job_pays_for_what_it_ran(ann: Payer) -> None:
    jid = ann.map(1).first
    by = ann.worker()
    (one,) = ann.take(by)
    ann.kill([(jid, 1)])
    ann.finish(by, ends(one, 3_000, Cause.killed))
    assert ann.line(jid).amount == 3 * C1


def test_a_job_ended_for_its_account_s_limit_says_so(ann: Payer) -> None:
    jid = ann.map(1).first
    by = ann.worker()
    (one,) = ann.take(by)
    ann.start(by, one)
    assert ann.read(credit.running, ann.account) == [jid]
    ann.write(lambda tx: kill.kill(tx, ann.account, [(jid, 1)], ann.tick(), cause=Cause.spending_limit))
    assert ann.status(jid) == "killed"
    assert ann.read(credit.running, ann.account) == []


def test_a_repeat_is_billed_once(ann: Payer) -> None:
    ann.map(1)
    by = ann.worker()
    (one,) = ann.take(by)
    ann.finish(by, ends(one, 1000))
    ann.finish(by, ends(one, 1000))
    assert ann.standing().spent == C1


def test_each_attempt_is_a_line_and_lost_ones_are_free(ann: Payer) -> None:
    jid = ann.map(1, retries=1).first
    first = ann.worker()
    (one,) = ann.take(first)
    ann.start(first, one)
    ann.revoke(first)
    second = ann.worker()
    (again,) = ann.take(second)
    failing = ends(again, 2_000, Cause.exception)
    failing.retry = True
    ann.finish(second, failing)
    (last,) = ann.take(second)
    ann.finish(second, ends(last, 3_000))
    amounts = ann.read(lambda tx: tx.execute(select(attempt.c.amount).where(attempt.c.jid == jid).order_by(attempt.c.n)).all())
    assert [row[0] for row in amounts] == [0, 2 * C1, 3 * C1]
    assert ann.standing().spent == 5 * C1


# -- sums -------------------------------------------------------------------------------------------------------------


def both_ways(tx: Connection) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Sums of the lines, and the sums that are kept, by account, day and purpose."""
    lines = select(attempt.c.account, attempt.c.ended, attempt.c.purpose, attempt.c.billed_ms, attempt.c.cores, attempt.c.price,
                   attempt.c.amount)  # fmt: skip
    made: dict[Any, list[int]] = {}
    for account, ended, of, ms, cores, price, amount in tx.execute(lines):
        assert amount == ms * cores * price
        total = made.setdefault((account, ended // DAY, of), [0, 0, 0])
        for at, value in enumerate((1, ms * cores, amount)):
            total[at] += value
    kept = select(usage.c.account, usage.c.day, usage.c.purpose, *(func.sum(usage.c[name]) for name in spent.COUNTED)).group_by(
        usage.c.account, usage.c.day, usage.c.purpose
    )
    return {key: tuple(total) for key, total in made.items()}, {
        tuple(row[:3]): tuple(map(int, row[3:])) for row in tx.execute(kept)
    }


def test_sums_are_those_of_the_lines_to_the_unit(db: Database) -> None:
    chance = random.Random(7)
    people = [Payer(db, name) for name in ("ann", "bob", "cy")]
    causes = [Cause.none] * 6 + [Cause.exception, Cause.worker_lost, Cause.out_of_memory]
    for turn in range(60):
        who = chance.choice(people)
        who.now = 1_000 + turn * DAY // 7
        who.price = chance.choice([C1, F2, 1, 999_983])
        label = chance.choice(["", "a", "b"])
        cores = chance.choice([1, 2, 16])
        who.map(chance.randint(1, 9), label=label, cores=cores)
        for waiting in [row for row in who.read(job.ready) if row.account == who.account]:
            by = who.worker(waiting.kind)
            given = who.take(by, 100, kind=waiting.kind)
            if chance.random() < 0.2:
                who.start(by, *given)
                who.revoke(by)
                continue
            who.finish(by, *(ends(one, chance.randint(0, 10**10), chance.choice(causes)) for one in given))
    lines, kept = people[0].read(both_ways)
    assert lines == kept and len(lines) > 20
    for who in people:
        whole = who.read(spent.sums, who.account, "day").total
        mine = [total for (account, _, _), total in lines.items() if account == who.account]
        assert (whole.attempts, whole.core_ms, whole.amount) == tuple(map(sum, zip(*mine, strict=True)))
        for by in spent.BY:
            page = who.read(spent.sums, who.account, by)
            assert sum(row.amount for row in page.rows) == whole.amount
            assert sum(row.attempts for row in page.rows) == whole.attempts


def test_two_workers_end_at_once(db: Database, other: Database) -> None:
    ann = Payer(db)
    ann.map(40)
    hands = [(by, ann.take(by, 20)) for by in (ann.worker(), ann.worker())]

    def ending(by: int, given: list[Lease]) -> Any:
        return lambda tx: finish.finish(tx, by, [ends(one, 1_000) for one in given], 5)

    overlapped(db, other, ending(*hands[0]), ending(*hands[1]))
    lines, kept = ann.read(both_ways)
    assert lines == kept
    assert ann.read(spent.sums, ann.account, "day", 0).total.amount == 40 * C1


def test_usage_by_each_of_its_names(ann: Payer) -> None:
    ann.now = moment(2026, 3, 1)
    ann.run(10, 2, label="fit")
    ann.run(5, 1)
    ann.now = moment(2026, 3, 2)
    ann.price = F2
    ann.run(1, 1, core_type="f2")
    today = moment(2026, 3, 2) // DAY

    def told(by: str, **place: int) -> list[tuple[Any, int, int]]:
        return [
            (row.key, row.attempts, row.core_ms) for row in ann.read(lambda tx: spent.sums(tx, ann.account, by, **place)).rows
        ]

    assert told("label") == [("fit", 2, 20), ("", 2, 6)]
    assert told("type") == [("c1", 3, 25), ("f2", 1, 1)]
    assert told("function") == [("f", 4, 26)]
    assert told("queue") == [("", 4, 26)]
    assert told("day") == [(today, 1, 1), (today - 1, 3, 25)]
    assert told("day", until=today - 1) == [(today - 1, 3, 25)]
    assert told("type", since=today) == [("f2", 1, 1)]
    assert told("job", limit=2) == [(4, 1, 1), (3, 1, 5)]
    assert told("job", until=today - 1, limit=1) == [(3, 1, 5)]
    with pytest.raises(BadRequest):
        told("colour")


def test_sums_outlive_jobs_and_submissions(ann: Payer) -> None:
    ann.run(10, 3, label="old")
    ann.submit(submission(0))  # the newest submission stays in any case
    ann.write(retention.jobs, ann.now + 1)
    ann.write(retention.submissions, ann.now + 1, 0)
    (row,) = ann.read(spent.sums, ann.account, "label").rows
    assert (row.key, row.amount) == ("old", 30 * C1)
    assert [one.about for one in ann.read(spent.sums, ann.account, "job").rows] == ["f"] * 3


def test_usage_is_the_account_s_own(ann: Payer, db: Database) -> None:
    ann.run(10)
    bob = Payer(db, "bob")
    for by in spent.BY:
        page = bob.read(spent.sums, bob.account, by)
        assert page.rows == [] and page.total.amount == 0
    assert bob.standing().spent == 0


def test_a_purpose_is_one_row(ann: Payer) -> None:
    for _ in range(3):
        ann.run(1, label="x")
    ann.run(1, label="y")
    assert ann.read(lambda tx: tx.execute(select(func.count()).select_from(purpose)).scalar_one()) == 2


# -- an older database ------------------------------------------------------------------------------------------------

OLD = """
INSERT INTO account VALUES (1, 'ann', 1, 0);
INSERT INTO kind VALUES (1, 1, 'c1', 1, '', '');
INSERT INTO submission (id, account, token, digest, function, modules, python, name, label, options, kind, first, count, head,
    accepted, final, gate, created, seen)
    VALUES (5, 1, {blob}, {blob}, '', '[]', '3.11', 'fit', 'l', '{{}}', 1, 1, 2, 2, 2, 1, 0, 0, 0);
INSERT INTO job (jid, submission, account, kind, priority, status, held, restartable, attempts, retried, lost, doubts, cause,
    created)
    VALUES (1, 5, 1, 1, 5, 3, 0, 1, 1, 0, 0, 0, 0, 0), (2, 5, 1, 1, 5, 1, 0, 1, 0, 0, 0, 0, 0, 0);
INSERT INTO argument (jid, data, preview) VALUES (2, {blob}, '');
INSERT INTO attempt (jid, n, lease, account, kind, worker, cause, leased, ended, runtime_us, cpu_user_us, cpu_system_us,
    peak_memory)
    VALUES (1, 1, {blob}, 1, 1, 1, 0, 0, 0, 9000, 0, 0, 0);
"""


def test_jobs_of_an_older_database_are_billed_from_now_on(fresh_url: str) -> None:
    engine = create_engine(fresh_url)
    with engine.begin() as tx:
        command.upgrade(migrate.config(tx), "0007")
        for statement in OLD.format(blob="X'00'" if tx.dialect.name == "sqlite" else "'\\x00'::bytea").split(";")[:-1]:
            tx.exec_driver_sql(statement)
    engine.dispose()
    db = Database.open(fresh_url)
    ann = Payer.__new__(Payer)
    ann.db, ann.now, ann.account = db, 10, 1
    by = ann.worker(1)
    (one,) = ann.take(by)
    ann.finish(by, ends(one, 4_000))
    assert (ann.line(1).amount, ann.line(2).amount) == (0, 4 * C1)
    assert [(row.key, row.attempts, row.amount) for row in ann.read(spent.sums, 1, "function").rows] == [("fit", 1, 4 * C1)]
    db.close()


def test_days_are_told_apart_by_the_dearest(db: Database) -> None:
    ann, bob = Payer(db), Payer(db, "bob")
    ann.now = moment(2026, 3, 1, 12)
    ann.run(100, label="small")
    ann.run(5_000, 2, label="large")
    ann.now = moment(2026, 3, 2, 12)
    ann.run(1_000, label="large")
    ann.run(200, label="tiny")
    bob.now = ann.now
    bob.run(9_000, label="large")
    first = moment(2026, 3, 1) // DAY
    found = ann.read(daily.read, ann.account, "label", first, first + 1, 2)
    assert [(one.name, one.rest, one.amount // C1) for one in found] == [
        ("large", False, 11_000), ("tiny", False, 200), ("", True, 100)]  # fmt: skip
    assert found[0].days == {first: (2, 10_000, 10_000 * C1), first + 1: (1, 1_000, 1_000 * C1)}
    assert [one.name for one in ann.read(daily.read, ann.account, "label", first, first, 9)] == ["large", "small"]
    with pytest.raises(BadRequest):
        ann.read(daily.read, ann.account, "job", first, first, 9)
