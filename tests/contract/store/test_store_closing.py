"""Jobs that end without having run: killed, never sent, or stalled, also ten million at once."""

from __future__ import annotations

import pytest

from picloud.store import closing, job
from picloud.store.act import accept, close, info, kill
from picloud.store.act.answer import Finish
from picloud.store.db import Database
from picloud.wire.error import BadRequest
from picloud.wire.job import Status
from tests.contract.store.storekeeper import Keeper, done


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


def test_kill_moves_the_job_at_once_and_the_attempt_closes_later(ann: Keeper) -> None:
    made = ann.map(4, 3)
    by = ann.worker()
    one, _ = ann.take(by, 2)
    answer, running = ann.kill([(made.first, 4)])
    assert (answer.ended, answer.closed, sorted(running)) == (
        4,
        [(made.first, 4)],
        [(by, made.first, 1), (by, made.first + 1, 1)],
    )
    assert ann.status(made.first, 4) == "killed killed killed killed"
    assert ann.chunk(made, 3, 1).count == 1
    assert ann.finish(by, done(one)).moved == []
    assert ann.revoke(by).moved == []
    assert ann.status(made.first, 4) == "killed killed killed killed"
    ends = ann.read(job.finished, ann.account, [(made.first, 4)], 0, 9)
    assert {end.failure and end.failure.cause for end in ends} == {"killed"}
    assert ann.kill([(made.first, 4)])[0].ended == 0


def test_kill_all_reaches_ready_leased_waiting_and_unsent_jobs(ann: Keeper) -> None:
    first = ann.map(3)
    ann.take(ann.worker(), 1)
    ann.map(2, depends_on=[(first.first, 3)])
    ann.map(4, 1)
    assert ann.kill(None)[0].ended == 9
    assert ann.read(job.counts, ann.account) == {"waiting": 0, "queued": 0, "processing": 0}


def test_a_big_kill_comes_in_pieces(ann: Keeper) -> None:
    made = ann.map(5)

    def piece(tx):
        return kill.kill(tx, ann.account, [(made.first, 5)], ann.now, limit=2)[0]

    assert [(answer.ended, answer.more) for answer in (ann.write(piece) for _ in range(3))] == [(2, True), (2, True), (1, False)]


def settled(ann: Keeper) -> list[tuple[int, int]]:
    """Give all closed jobs their rows."""
    made, more = [], True
    while more:
        answer = ann.write(close.proceed, ann.now)
        made += answer.closed
        more = answer.more
    return made


def test_very_many_unsent_jobs_end_at_once_and_get_their_rows_later(ann: Keeper) -> None:
    count = 10_000_000
    made = ann.map(count, 3)
    small = ann.map(1, depends_on=[(made.first + 40, 1)])
    answer, _ = ann.kill([(made.first, count)])
    assert (answer.ended, answer.closed, answer.more) == (count, [(made.first, count)], False)
    assert ann.read(job.statuses, ann.account, [(made.first, count)]) == bytes([Status.killed]) * count
    about = ann.read(info.read, ann.account, [(made.first + 50, 1)])[made.first + 50]
    assert (about["status"], about["cause"]) == ("killed", "killed")
    with pytest.raises(BadRequest, match="given up"):
        ann.chunk(made, 3, 1)
    assert ann.kill(None)[0].ended == 1
    assert ann.status(small.first) == "killed"
    bite = ann.write(close.proceed, ann.now)
    assert (bite.closed[0], bite.more) == ((made.first + 3, closing.AT_ONCE), True)
    ends = ann.read(job.finished, ann.account, [(made.first, 9)], made.first + 3, 9)
    assert [(end.jid, end.failure.cause) for end in ends] == [(made.first + i, "killed") for i in range(4, 9)]


def test_rows_of_closed_jobs_come_to_an_end_and_stall_who_waits(ann: Keeper) -> None:
    count = closing.AT_ONCE + 5
    made = ann.map(count, 1)
    child = ann.map(1, depends_on=[(made.first + count - 1, 1)])
    ann.kill([(made.first, count)])
    assert ann.status(child.first) == "waiting"
    assert settled(ann) == [(made.first + 1, closing.AT_ONCE), (made.first + 1 + closing.AT_ONCE, 4), (child.first, 1)]
    assert ann.status(child.first) == "stalled"
    assert ann.read(closing.covering, ann.account) == []
    assert ann.write(close.proceed, ann.now) == Finish()
    assert len(ann.read(job.finished, ann.account, [(made.first, count)], 0, 2 * count)) == count
    assert ann.write(job.delete, ann.account, [(made.first, count)]) == count


def test_a_part_of_very_many_unsent_jobs_is_killed_in_pieces_and_the_rest_goes_on(ann: Keeper) -> None:
    count, part = 3 * closing.AT_ONCE, closing.AT_ONCE + 7
    made = ann.map(count, 1)
    ended = []
    for _ in range(3):
        answer, _ = ann.kill([(made.first + 10, part)])
        ended.append((answer.ended, answer.more))
    assert ended == [(closing.AT_ONCE, True), (7, False), (0, False)]
    assert ann.chunk(made, 1, 20).count == 20
    assert ann.status(made.first + 8, 4) == "queued queued killed killed"
    assert ann.status(made.first + count - 1) == "waiting"
    assert ann.kill([(made.first, count)])[0].ended == count - part
    assert ann.status(made.first + count - 1) == "killed"
    settled(ann)
    assert ann.read(job.statuses, ann.account, [(made.first, count)]) == bytes([Status.killed]) * count


def test_very_many_jobs_stall_together(ann: Keeper) -> None:
    count = 3 * closing.AT_ONCE
    parent = ann.map(1)
    child = ann.map(count, 2, depends_on=[(parent.first, 1)])
    ann.kill([(parent.first, 1)])
    assert ann.read(job.statuses, ann.account, [(child.first, count)]) == bytes([Status.stalled]) * count
    assert ann.kill([(child.first, count)])[0].ended == 0
    settled(ann)
    assert ann.read(job.statuses, ann.account, [(child.first, count)]) == bytes([Status.stalled]) * count


def test_a_client_that_vanished_leaves_even_very_many(ann: Keeper) -> None:
    count = 10_000_000
    made = ann.map(count, 1)
    assert ann.write(accept.vanished, ann.now + 1, ann.now + 1).closed == [(made.first + 1, count - 1)]
    assert ann.status(made.first + count - 1) == "killed"
    ann.write(close.proceed, ann.now)
    (end, *_) = ann.read(job.finished, ann.account, [(made.first, 9)], 0, 9)
    assert end.failure.cause == "not_sent"


def test_a_client_that_vanished_leaves_not_sent_jobs(ann: Keeper) -> None:
    made = ann.map(5, 1)
    ann.chunk(made, 3, 1)
    assert ann.write(accept.vanished, made.submission, ann.now).closed == []
    answer = ann.write(accept.vanished, ann.now + 1, ann.now + 1)
    assert answer.closed == [(made.first + 1, 2), (made.first + 4, 1)]
    assert ann.status(made.first, 5) == "queued killed killed queued killed"
    (end, *_) = ann.read(job.finished, ann.account, [(made.first, 5)], 0, 9)
    assert end.failure.cause == "not_sent"
