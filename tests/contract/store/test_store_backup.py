"""A copy of the database, made while others write and taken up elsewhere: no number means two things, nothing starts itself."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from picloud.store import backup, blob, hold, job
from picloud.store.act import accept
from picloud.store.db import Database
from picloud.store.schema import argument, counter, lease, submission
from picloud.store.schema import job as job_table
from picloud.wire.error import Conflict, NotFound, SetupError
from picloud.wire.job import Cause, Status
from picloud.wire.message import Arguments
from tests.contract.store.conftest import new_database
from tests.contract.store.queuekeeper import Queues, ended
from tests.contract.store.storekeeper import Keeper
from tests.contract.store.storekeeper import submission as a_submission

Elsewhere = Callable[[], str]
LATER = 5_000_000_000


@pytest.fixture
def elsewhere(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Elsewhere:
    """URLs of empty databases of the same sort."""
    numbers = itertools.count(1)

    def made() -> str:
        if url.startswith("sqlite"):
            return f"sqlite:///{tmp_path}/restored{next(numbers)}.sqlite"
        return new_database(request.getfixturevalue("postgresql"))

    return made


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


def taken_up(copy: Path, url: str, first: int = LATER, now: int = 9_000) -> tuple[Database, backup.TakenUp]:
    """The copy as a database that is served again."""
    backup.recovered(copy, url)
    opened = Database.open(url)
    return opened, opened.write(backup.taken_up, first, now).result(30)


def statuses(db: Database) -> dict[int, int]:
    rows = select(job_table.c.jid, job_table.c.status)
    return dict(db.read(lambda tx: [tuple(row) for row in tx.execute(rows)]).result(30))


def test_jobs_come_back_and_those_in_hand_are_queued(url: str, ann: Keeper, tmp_path: Path, elsewhere: Elsewhere) -> None:
    made = ann.map(3)
    single = ann.map(1, restartable=False)
    worker = ann.worker()
    leases = ann.take(worker, want=2)
    ann.start(worker, leases[0])
    copied = backup.copied(url, tmp_path / "copy")
    assert copied.last == single.first and copied.blobs == []
    restored, told = taken_up(tmp_path / "copy", elsewhere())
    try:
        assert told == backup.TakenUp(revoked=2, once=1, sealed=0)
        assert restored.read(lambda tx: tx.execute(select(func.count()).select_from(lease)).scalar_one()).result(30) == 0
        expected = dict.fromkeys(range(made.first, made.first + 3), int(Status.queued)) | {single.first: int(Status.queued)}
        assert statuses(restored) == expected
        assert restored.read(hold.since).result(30) == 9_000
        kept = Keeper(restored, number=ann.account)
        assert kept.take(worker) == []  # the old worker gets nothing any more
        assert kept.finish(worker).moved == []
        again = kept.worker(1)
        assert {one.jid: one.n for one in kept.take(again)} == {made.first: 2, made.first + 1: 2, made.first + 2: 1}
        assert restored.write(hold.end).result(30) and not restored.write(hold.end).result(30)
        assert restored.read(hold.since).result(30) is None
    finally:
        restored.close()


def test_a_job_that_must_not_run_twice_ends_if_it_was_in_hand(
    url: str, ann: Keeper, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    made = ann.map(1, restartable=False)
    ann.take(ann.worker())
    backup.copied(url, tmp_path / "copy")
    restored, told = taken_up(tmp_path / "copy", elsewhere())
    try:
        assert told == backup.TakenUp(revoked=1, once=0, sealed=0)
        found = restored.read(lambda tx: tx.execute(select(job_table).where(job_table.c.jid == made.first)).one()).result(30)
        assert found.status > Status.done and found.cause == Cause.worker_lost
    finally:
        restored.close()


def test_no_number_is_given_twice(url: str, ann: Keeper, db: Database, tmp_path: Path, elsewhere: Elsewhere) -> None:
    queues = Queues(db, ann.account)
    queues.push("q", b"one", b"two")
    ann.map(2)
    backup.copied(url, tmp_path / "copy")
    lost = ann.map(5, sent=1)  # what the copy does not know
    (ticket, _) = queues.take("q")
    restored, _ = taken_up(tmp_path / "copy", elsewhere())
    try:
        after = Keeper(restored, number=ann.account)
        made = after.map(2)
        assert made.first == LATER + 1 and made.submission > lost.submission
        with pytest.raises(NotFound):
            after.chunk(lost, 1, 4)
        theirs = Queues(restored, ann.account)
        theirs.now = 5_000_000
        assert len(theirs.take("q")) == 2
        assert theirs.exchange("q", ended(ticket)).refused == [0]  # a ticket of the lost time ends nobody's message
        assert theirs.count("q").in_hand == 2
    finally:
        restored.close()


def test_a_copy_made_earlier_than_its_jids_were_given_keeps_them_apart() -> None:
    assert backup.beyond(7, since=1_000, now=1_000) == 2_000_000_000
    assert backup.beyond(7, since=1_000, now=500) == 2_000_000_000  # a clock that went back
    day = 86_400_000
    assert backup.beyond(7, since=0, now=day) == 10_000_000_000 > 1_000_000_007 + backup.A_MS * day


def test_the_copy_is_of_one_moment_while_others_write(url: str, ann: Keeper, tmp_path: Path, elsewhere: Elsewhere) -> None:
    """Each submission is one transaction of 50 jobs, so a copy holds fifties, and the counter fits them."""
    going, made = threading.Event(), threading.Event()

    def submit() -> None:
        while not going.is_set():
            ann.map(50)
            made.set()

    writing = threading.Thread(target=submit)
    writing.start()
    try:
        assert made.wait(30)
        found = []
        for number in range(4):
            found.append(backup.copied(url, tmp_path / f"copy{number}"))
            made.clear()
            assert made.wait(30)
    finally:
        going.set()
        writing.join()
    assert [one.last for one in found] == sorted({one.last for one in found})
    for number, one in enumerate(found):
        target = elsewhere()
        backup.recovered(tmp_path / f"copy{number}", target)
        restored = Database.open(target)
        try:
            counts = [select(func.count()).select_from(table) for table in (job_table, argument, submission)]
            jobs, arguments, submissions = restored.read(lambda tx, c=counts: [tx.execute(x).scalar_one() for x in c]).result(30)
            assert jobs == arguments == one.last == submissions * 50
        finally:
            restored.close()


def test_blobs_that_rows_name_are_told_and_others_forgotten(url: str, ann: Keeper, tmp_path: Path, elsewhere: Elsewhere) -> None:
    named, loose = ann.write(blob.new, ann.account, [5, 6], ann.now)
    ann.write(blob.all_arrived, {named: 5, loose: 6}, ann.now)
    m = a_submission(1)
    m.arguments = Arguments([0], b"", ["big"], {0: named})
    ann.submit(m)
    copied = backup.copied(url, tmp_path / "copy")
    assert copied.blobs == [(named, 5)]
    restored, _ = taken_up(tmp_path / "copy", elsewhere())
    try:
        assert restored.read(blob.sizes, [named, loose]).result(30) == {named: 5}
        with pytest.raises(NotFound):
            restored.write(blob.refer, ann.account, [loose], 1).result(30)
    finally:
        restored.close()


def test_a_database_that_holds_something_takes_no_copy(url: str, ann: Keeper, tmp_path: Path) -> None:
    backup.copied(url, tmp_path / "copy")
    with pytest.raises(SetupError, match="not empty"):
        backup.recovered(tmp_path / "copy", url)


def test_a_repeat_after_the_copy_is_known(url: str, ann: Keeper, tmp_path: Path, elsewhere: Elsewhere) -> None:
    m = a_submission(2)
    first = ann.submit(m)
    backup.copied(url, tmp_path / "copy")
    restored, _ = taken_up(tmp_path / "copy", elsewhere())
    try:
        repeated = restored.write(lambda tx: accept.submit(tx, ann.account, m, now=30_000)).result(30)[0]
        assert repeated == first
        m.name = "another"
        with pytest.raises(Conflict):
            restored.write(lambda tx: accept.submit(tx, ann.account, m, now=30_000)).result(30)
        value: Any = restored.read(lambda tx: tx.execute(select(counter.c.value).where(counter.c.name == "jid")).scalar_one())
        assert value.result(30) == LATER
    finally:
        restored.close()


def test_ready_jobs_are_found_after_it(url: str, ann: Keeper, tmp_path: Path, elsewhere: Elsewhere) -> None:
    ann.map(4)
    ann.take(ann.worker(), want=3)
    backup.copied(url, tmp_path / "copy")
    restored, _ = taken_up(tmp_path / "copy", elsewhere())
    try:
        (found,) = restored.read(job.ready).result(30)
        assert found.count == 4
    finally:
        restored.close()
