"""Each move from two connections at once: whoever comes second waits, then sees what the first one did."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from picloud.store import account, closing, code, job
from picloud.store.act import accept, close, finish, kill, lease, revoke
from picloud.store.db import Database
from picloud.wire.error import Conflict
from picloud.wire.message import Chunk, Lease
from tests.contract.store.storekeeper import CODE, DEADLINE, Keeper, arguments, done, failed, overlapped, submission

Overlap = Callable[[Callable[..., Any], Callable[..., Any]], tuple[Any, Any]]


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


@pytest.fixture
def both(db: Database, other: Database) -> Overlap:
    """Run two acts on two connections, the second between the statements and the commit of the first."""
    return lambda first, second: overlapped(db, other, first, second)


def triples(*leases: Lease) -> list[tuple[int, int, bytes]]:
    return [(one.jid, one.n, one.lease) for one in leases]


def test_two_takes_never_lease_the_same_job(ann: Keeper, both: Overlap) -> None:
    ann.map(6)
    a, b = ann.worker(), ann.worker()
    one, two = both(lambda tx: lease.take(tx, a, 1, 4, [], 5), lambda tx: lease.take(tx, b, 1, 4, [], 5))
    assert sorted(x.jid for x in one + two) == [1, 2, 3, 4, 5, 6]


def test_many_takes_and_finishes_at_once(ann: Keeper, other: Database) -> None:
    ann.map(600)
    workers = [ann.worker() for _ in range(4)]
    stores = [ann.db, other, ann.db, other]
    moved: list[int] = []
    while len(moved) < 600:
        takes = [s.write(lease.take, w, 1, 37, [], 5) for s, w in zip(stores, workers, strict=True)]
        leases = [future.result(DEADLINE) for future in takes]
        ends = [s.write(finish.finish, w, [done(x) for x in given], 6)
                for w, given in zip(workers, leases, strict=True) for s in (ann.db, other)]  # fmt: skip
        moved += [end.jid for future in ends for end in future.result(DEADLINE).moved]
    assert sorted(moved) == list(range(1, 601))


def test_double_finish_moves_once(ann: Keeper, both: Overlap) -> None:
    ann.map(1)
    by = ann.worker()
    (one,) = ann.take(by)
    first, second = both(lambda tx: finish.finish(tx, by, [done(one)], 5), lambda tx: finish.finish(tx, by, [failed(one)], 5))
    assert (len(first.moved), first.stale, second.moved, second.stale) == (1, [], [], [(1, 1)])
    assert ann.status(1) == "done"


def test_kill_and_finish(ann: Keeper, both: Overlap) -> None:
    ann.map(2)
    by = ann.worker()
    one, two = ann.take(by)

    def killing(jid):
        return lambda tx: kill.kill(tx, ann.account, [(jid, 1)], 5)[0]

    killed, late = both(killing(1), lambda tx: finish.finish(tx, by, [done(one)], 5))
    assert (killed.ended, late.moved, late.stale) == (1, [], [])
    ended, killed = both(lambda tx: finish.finish(tx, by, [done(two)], 5), killing(2))
    assert (len(ended.moved), killed.ended) == (1, 0)
    assert ann.status(1, 2) == "killed done"


def test_kill_and_take(ann: Keeper, both: Overlap) -> None:
    ann.map(1)
    by = ann.worker()
    given, (killed, running) = both(lambda tx: lease.take(tx, by, 1, 9, [], 5), lambda tx: kill.kill(tx, ann.account, None, 5))
    assert (len(given), killed.ended, running) == (1, 1, [(by, 1, 1)])
    ann.map(1)
    (killed, running), given = both(lambda tx: kill.kill(tx, ann.account, None, 5), lambda tx: lease.take(tx, by, 1, 9, [], 5))
    assert (killed.ended, running, given) == (1, [], [])


def test_revoke_and_finish(ann: Keeper, both: Overlap) -> None:
    ann.map(2)
    by = ann.worker()
    (one,) = ann.take(by, 1)
    lost, late = both(lambda tx: revoke.revoke(tx, by, "gone", 5), lambda tx: finish.finish(tx, by, [done(one)], 5))
    assert (lost.ready_kinds, late.moved, late.stale) == ({1}, [], [(1, 1)])
    by = ann.worker()
    (again, _) = ann.take(by)
    end, lost = both(lambda tx: finish.finish(tx, by, [done(again)], 5), lambda tx: revoke.revoke(tx, by, "gone", 5))
    assert len(end.moved) == 1
    assert ann.status(1, 2) == "done queued"


def test_revoke_and_take(ann: Keeper, both: Overlap) -> None:
    ann.map(2)
    by = ann.worker()
    given, lost = both(lambda tx: lease.take(tx, by, 1, 1, [], 5), lambda tx: revoke.revoke(tx, by, "gone", 5))
    assert (len(given), lost.ready_kinds) == (1, {1})
    by = ann.worker()
    lost, given = both(lambda tx: revoke.revoke(tx, by, "gone", 5), lambda tx: lease.take(tx, by, 1, 1, [], 5))
    assert given == []
    assert len(ann.take(ann.worker())) == 2


def test_started_and_returned_against_kill(ann: Keeper, both: Overlap) -> None:
    ann.map(2)
    by = ann.worker()
    one, two = ann.take(by)
    both(lambda tx: kill.kill(tx, ann.account, [(1, 1)], 5), lambda tx: lease.started(tx, by, triples(one), 5))
    both(lambda tx: kill.kill(tx, ann.account, [(2, 1)], 5), lambda tx: lease.returned(tx, by, triples(two), 5))
    assert ann.status(1, 2) == "killed killed"


def test_a_dependency_on_closed_jobs_while_they_get_their_rows(ann: Keeper, both: Overlap) -> None:
    count = closing.AT_ONCE + 5
    for swapped in (False, True):
        made = ann.map(count, 1)
        ann.kill([(made.first, count)])
        m = submission(1, depends_on=[(made.first + 5, 1)])
        acts = [lambda tx: close.proceed(tx, ann.tick()), lambda tx, m=m: accept.submit(tx, ann.account, m, now=ann.tick())]
        answers = both(*reversed(acts)) if swapped else both(*acts)
        child = answers[0 if swapped else 1][0]
        while ann.write(close.proceed, ann.now).more:
            pass
        assert ann.status(child.first) == "stalled"


def test_code_is_swept_or_referred_to_but_never_both(ann: Keeper, both: Overlap) -> None:
    for swapped in (False, True):
        ann.write(code.put, ann.account, [CODE], 10)
        m = submission(1)
        m.code = []
        newest, loose = ann.read(code.every)
        acts = [
            lambda tx, at=newest, loose=loose: code.remove(tx, loose - code.named(tx, 0, at), at, 2_000),
            lambda tx, m=m: accept.submit(tx, ann.account, m, now=ann.tick())[0],
        ]
        removed, answer = reversed(both(*reversed(acts))) if swapped else both(*acts)
        assert (removed, answer.missing) in [(1, [CODE.digest]), (0, [])]


def test_the_same_submission_twice_at_once(ann: Keeper, both: Overlap) -> None:
    m = submission(3)

    def send(tx):
        return accept.submit(tx, ann.account, m, now=5)[0]

    one, two = both(send, send)
    assert one == two
    assert ann.read(job.counts)["queued"] == 3


def test_submissions_at_once_get_ranges_of_their_own(ann: Keeper, both: Overlap) -> None:
    one, two = (answer[0] for answer in both(
        lambda tx: accept.submit(tx, ann.account, submission(3), now=5),
        lambda tx: accept.submit(tx, ann.account, submission(3), now=5),
    ))  # fmt: skip
    assert (one.first, two.first) == (1, 4)


def test_the_same_chunk_twice_at_once(ann: Keeper, both: Overlap) -> None:
    made = ann.map(6, 1)

    def send(offset, count, digest):
        return lambda tx: accept.chunk(
            tx, ann.account, Chunk(made.submission, offset, arguments(count)), digest, 5)[0]  # fmt: skip

    one, two = both(send(1, 2, b"x"), send(1, 2, b"x"))
    assert one == two
    with pytest.raises(Conflict):
        both(send(3, 2, b"x"), send(4, 2, b"y"))
    one, two = both(lambda tx: kill.kill(tx, ann.account, [(1, 6)], 5)[0], send(5, 1, b"z"))
    assert (one.ended, two.count, ann.status(1, 6)) == (6, 1, "killed " * 5 + "killed")


def test_a_dependency_added_while_its_parent_finishes(ann: Keeper, both: Overlap) -> None:
    ann.map(2)
    by = ann.worker()
    one, two = ann.take(by)

    def child(jid):
        return lambda tx: accept.submit(tx, ann.account, submission(1, depends_on=[(jid, 1)]), now=5)

    _, (made, kinds) = both(lambda tx: finish.finish(tx, by, [done(one)], 5), child(1))
    assert (ann.status(made.first), kinds) == ("queued", {1})
    (made, _), answer = both(child(2), lambda tx: finish.finish(tx, by, [done(two)], 5))
    assert (ann.status(made.first), answer.ready_kinds) == ("queued", {1})


def test_a_dependency_on_what_is_just_being_sent_or_given_up(ann: Keeper, both: Overlap) -> None:
    parent = ann.map(3, 1)

    def child(jid):
        return lambda tx: accept.submit(tx, ann.account, submission(1, depends_on=[(jid, 1)]), now=5)[0]

    def send(tx):
        return accept.chunk(tx, ann.account, Chunk(parent.submission, 1, arguments(1)), b"x", 5)

    _, first = both(send, child(2))
    second, answer = both(child(3), lambda tx: accept.vanished(tx, 1 << 40, 5))
    assert (ann.status(first.first), ann.status(second.first)) == ("waiting", "stalled")
    assert answer.closed == [(3, 1), (second.first, 1)]


def test_two_parents_that_finish_at_once_release_their_child(ann: Keeper, both: Overlap) -> None:
    ann.map(2)
    child = ann.map(1, depends_on=[(1, 2)])
    by = ann.worker()
    one, two = ann.take(by)
    both(lambda tx: finish.finish(tx, by, [done(one)], 5), lambda tx: finish.finish(tx, by, [done(two)], 5))
    assert ann.status(child.first) == "queued"


def test_a_chunk_that_comes_while_its_gate_opens(ann: Keeper, both: Overlap) -> None:
    ann.map(1)
    child = ann.map(3, 1, depends_on=[(1, 1)])
    by = ann.worker()
    (one,) = ann.take(by)

    def send(offset):
        return lambda tx: accept.chunk(
            tx, ann.account, Chunk(child.submission, offset, arguments(1)), b"x", 5)[1]  # fmt: skip

    kinds, answer = both(send(1), lambda tx: finish.finish(tx, by, [done(one)], 5))
    assert (kinds, answer.ready_kinds) == (set(), {1})
    assert ann.write(send(2)) == {1}
    assert ann.status(child.first, 3) == "queued queued queued"


def test_names_and_tickets_are_given_once(ann: Keeper, both: Overlap) -> None:
    with pytest.raises(Conflict):
        both(lambda tx: account.create(tx, "bob", 5), lambda tx: account.create(tx, "bob", 5))
    ticket = ann.write(account.ticket_create, ann.account, 5, 1000)
    with pytest.raises(Exception, match="login link was used"):
        both(lambda tx: account.ticket_redeem(tx, ticket, 6, 1000), lambda tx: account.ticket_redeem(tx, ticket, 6, 1000))


def test_two_servers_open_an_empty_database_at_once(fresh_url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(5) as pool:
        opened = list(pool.map(Database.open, [fresh_url] * 5))
    token = os.urandom(4).hex()
    assert opened[0].write(account.create, f"a{token}", 5).result(DEADLINE) == 1
    assert opened[1].read(account.by_name, f"a{token}").result(DEADLINE) == 1
    for one in opened:
        one.close()
