"""Lists of jobs and of submissions by every filter, and what stands around one job, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from picloud.store import filter, fold, job, kin, listing, pulse
from picloud.store.act import accept, clone, rerun
from picloud.store.choice import Choice
from picloud.store.db import Database
from picloud.store.queue import attachment as attachments
from picloud.store.queue import peek
from picloud.store.queue.schema import NEVER, handler
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.job import Cause, Status
from picloud.wire.message import Chunk
from picloud.wire.queue import Attach
from tests.contract.store.queuekeeper import Queues
from tests.contract.store.storekeeper import Keeper, arguments, done, failed, submission


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


def jobs(ann: Keeper, **asked: Any) -> list[int]:
    return [row["jid"] for row in ann.read(lambda tx: listing.newest(tx, ann.account, Choice(**asked)))[0]]


def folds(ann: Keeper, limit: int = 50, before: int | None = None, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ann.read(lambda tx: fold.newest(tx, ann.account, Choice(**asked), limit=limit, before=before))[
        0
    ]
    return found


def firsts(ann: Keeper, **asked: Any) -> list[int]:
    return [row["jid_first"] for row in folds(ann, **asked)]


COUNTS = ("count", "done", "failed", "running", "queued", "waiting")


def counts(row: dict[str, Any]) -> tuple[int, ...]:
    return tuple(row[name] for name in COUNTS)


def named(ann: Keeper, count: int, name: str, **options: Any) -> int:
    m = submission(count, **options)
    m.name = name
    return ann.submit(m).first


def test_filters_choose_jobs_and_submissions_alike(ann: Keeper, db: Database) -> None:
    bob = Keeper(db, "bob")
    bob.map(2, label="Paint")
    one = named(ann, 2, "brush", label="Paint_it")
    two = named(ann, 1, "draw", core_type="c2")
    by = ann.worker(2)
    first, second = ann.take(by, kind=2)
    ann.finish(by, done(first), failed(second, Cause.out_of_memory))
    for asked, expected in (
        ({}, [two, one]), ({"label": "Paint_it"}, [one]), ({"label": "paint_it"}, []), ({"func": "draw"}, [two]),
        ({"text": "AINT_"}, [one]), ({"text": "paintx"}, []), ({"text": "a%t"}, []), ({"text": "draw"}, [two]),
        ({"type": "c2"}, [two]), ({"type": "c9"}, []), ({"env": "base/host"}, [two, one]), ({"env": "other"}, []),
        ({"cause": "out_of_memory"}, [one]), ({"cause": "timeout"}, []), ({"state": "error"}, [one]),
        ({"state": "queued"}, [two]), ({"state": "killed"}, []), ({"label": "Paint_it", "state": "queued"}, []),
        ({"since": 1 << 50}, []), ({"until": 1}, []), ({"since": 1, "until": 1 << 50}, [two, one]),
        ({"attachment": 1}, []), ({"queue": "none"}, []), ({"text": "\0"}, []),
    ):  # fmt: skip
        assert firsts(ann, **asked) == expected, asked
        assert {two if jid == two else one for jid in jobs(ann, **asked)} == set(expected), asked
    assert jobs(ann, state="error") == jobs(ann, cause="out_of_memory") == [one + 1]
    assert firsts(bob, text="paint") == [1]
    for wrong in ({"state": "lost"}, {"cause": "lost"}, {"text": "x" * 300}, {"since": 1 << 70}):
        with pytest.raises(BadRequest):
            jobs(ann, **wrong)
        with pytest.raises(BadRequest):
            folds(ann, **wrong)


def test_a_text_of_digits_is_the_beginning_of_a_jid_or_in_a_name(ann: Keeper) -> None:
    ann.map(25)
    run7 = ann.map(1, label="run-2").first
    assert jobs(ann, text="2") == [run7, 25, 24, 23, 22, 21, 20, 2]
    assert jobs(ann, text="24") == [24]
    assert jobs(ann, text="02") == jobs(ann, text="9" * 19) == []
    assert firsts(ann, text="24") == [1]
    assert firsts(ann, text="2") == [run7, 1]


def test_a_row_counts_its_jobs_by_state(ann: Keeper) -> None:
    made = ann.map(9, 7, priority=3)
    by = ann.worker()
    leases = ann.take(by, want=5)
    ann.start(by, leases[0], leases[1], leases[2])
    ann.finish(by, done(leases[0]), failed(leases[1]))
    ann.kill([(made.first + 6, 1)])
    (row,) = folds(ann)
    assert counts(row) == (9, 1, 2, 1, 3, 2)
    assert (row["jid_first"], row["jid_last"], row["ranges"], row["over"]) == (1, 9, [(1, 9)], False)
    gated = ann.map(2, depends_on=[(5, 1)])
    assert counts(folds(ann)[0]) == (2, 0, 0, 0, 0, 2)
    ann.kill([(5, 1)])
    assert counts(folds(ann)[0]) == (2, 0, 2, 0, 0, 0)
    assert folds(ann)[0]["over"] and folds(ann)[0]["jid_first"] == gated.first
    ann.write(accept.vanished, ann.now + 1, ann.now + 1)
    assert counts(folds(ann)[1])[:3] == (9, 1, 5)


def test_a_retry_that_waits_is_waiting(ann: Keeper) -> None:
    ann.map(2, retries=3, retry_delay_ms=60_000)
    by = ann.worker()
    one, _ = ann.take(by)
    ann.finish(by, failed(one, retry=True))
    assert counts(folds(ann)[0]) == (2, 0, 0, 0, 1, 1)


def test_a_map_without_a_length_has_several_ranges(ann: Keeper) -> None:
    made = ann.map(None, 2)
    between = ann.map(1).first
    ann.chunk(made, 2, 3, final=True)
    newest, row = folds(ann)
    assert newest["jid_first"] == between
    assert (row["ranges"], row["jid_last"], row["count"], row["queued"]) == ([(1, 2), (4, 3)], 6, 5, 5)
    assert ann.read(kin.read, ann.account, 5).position == 3


def test_pages_follow_each_other_and_leave_out_what_is_gone(ann: Keeper) -> None:
    made = [ann.map(2).first for _ in range(5)]
    by = ann.worker()
    ann.finish(by, *(done(one) for one in ann.take(by)))
    ann.write(job.delete, ann.account, [(made[2], 2)])
    page, following = ann.read(lambda tx: fold.newest(tx, ann.account, limit=2))
    assert [row["jid_first"] for row in page] == [made[4], made[3]] and following == made[3]
    page, following = ann.read(lambda tx: fold.newest(tx, ann.account, limit=2, before=following))
    assert [row["jid_first"] for row in page] == [made[1], made[0]] and following is None
    ann.write(job.delete, ann.account, [(made[0], 1)])
    assert counts(folds(ann)[-1]) == (1, 1, 0, 0, 0, 0)


def test_children_origin_and_those_that_wait_are_around_a_job(ann: Keeper, db: Database) -> None:
    parent = ann.map(1).first
    child = ann.write(lambda tx: accept.submit(tx, ann.account, submission(4, 3), parent=(parent, 1), now=ann.tick()))[0]
    waits = ann.map(2, depends_on=[(parent, 1)])
    found = ann.read(kin.read, ann.account, parent)
    assert (found.children_count, [row["jid_first"] for row in found.children], found.holds) == (4, [child.first], [waits.first])
    assert ann.read(kin.read, ann.account, child.first + 2).parent_jid == parent
    unsent = ann.read(kin.read, ann.account, child.first + 3)
    assert (unsent.submission, unsent.position, unsent.stored) == (child.submission, 3, None)
    for foreign in (parent, child.first + 3, 99):
        with pytest.raises(NotFound):
            Keeper(db, f"bob{foreign}").read(kin.read, ann.account + 1, foreign)


def test_a_job_of_an_attachment_says_so(ann: Keeper) -> None:
    asked = Attach(b"0" * 16, "in", submission(1))
    ann.write(lambda tx: attachments.attach(tx, ann.account, asked, "", None, 5))
    jid = ann.map(1).first
    ann.write(lambda tx: tx.execute(handler.insert(), {"jid": jid, "attachment": 1}))
    origin = ann.read(kin.read, ann.account, jid).origin
    assert (origin.kind, origin.name, origin.attachment, origin.version) == ("attachment", "in", 1, 1)
    assert jobs(ann, attachment=1) == jobs(ann, queue="in") == [jid]
    assert firsts(ann, attachment=1) == [jid]


def test_jobs_that_run_again_are_found_by_what_they_are_for(ann: Keeper) -> None:
    first = ann.map(1, label="again").first
    by = ann.worker()
    ann.finish(by, done(ann.take(by)[0]))
    ann.write(lambda tx: rerun.rerun(tx, ann.account, [(first, 1)], failed=False, token=b"1" * 16, now=ann.tick()))
    assert jobs(ann, label="again") == firsts(ann, label="again") == [first + 1, first]


def test_rows_that_were_closed_unsent_are_found_too(ann: Keeper) -> None:
    made = ann.map(3, 1, label="left")
    ann.write(accept.vanished, ann.now + 1, ann.now + 1)
    assert jobs(ann, label="left") == [made.first + 2, made.first + 1, made.first]


def test_a_look_into_a_queue_takes_nothing(ann: Keeper, db: Database) -> None:
    q = Queues(db, ann.account)
    q.push("in", b"1", b"x" * 5000, b"3")
    q.push("in", b"later", delay_ms=5_000)
    q.push("other", b"9")
    q.take("in", 1, jid=7)
    number, before = q.number("in"), q.count("in")
    found = q.act(peek.messages, number, q.now, 10)
    assert [(one.head, one.held, one.size) for one in found] == [
        (b"x" * peek.HEAD, 0, 5000), (b"3", 0, 1), (b"later", 0, 5), (b"1", 1, 1)]  # fmt: skip
    assert found[2].due == q.now + 5_000 and found[3].due == NEVER
    assert q.act(peek.messages, number, q.now, 2) == found[:2]
    assert q.count("in") == before


def test_the_jobs_of_a_queue_are_those_that_have_not_ended(ann: Keeper) -> None:
    asked = Attach(b"0" * 16, "in", submission(1))
    ann.write(lambda tx: attachments.attach(tx, ann.account, asked, "", None, 5))
    jids = [ann.map(1).first for _ in range(3)]
    ann.write(lambda tx: tx.execute(handler.insert(), [{"jid": jid, "attachment": 1} for jid in jids]))
    by = ann.worker()
    leases = ann.take(by, want=2)
    ann.start(by, leases[1])
    ann.finish(by, done(leases[0]))
    found = ann.read(peek.jobs, 1, 10)
    assert found == [(jids[2], int(Status.queued), 1, 1), (jids[1], int(Status.processing), 1, 1)]


def test_the_pulse_counts_what_came_and_ended_in_each_stretch(ann: Keeper, db: Database) -> None:
    Keeper(db, "bob").map(4)
    ann.map(3)
    by = ann.worker(2)
    leases = ann.take(by, kind=2)
    ann.now = 21_000
    ann.map(1)
    ann.finish(by, done(leases[0]), failed(leases[1]))
    ann.kill([(leases[2].jid, 1)])
    found = ann.read(pulse.read, ann.account, 0, 30_000, 10_000)
    assert found == [(0, 3, 0, 0), (20_000, 1, 1, 2)]
    assert ann.read(pulse.read, ann.account, 10_000, 20_000, 10_000) == []


def test_a_repeat_says_that_nothing_came(ann: Keeper) -> None:
    m, c = submission(2, 1), Chunk(1, 1, arguments(1))
    said = [ann.write(lambda tx: accept.submit(tx, ann.account, m, now=ann.tick()))[1] for _ in range(2)]
    said += [ann.write(accept.chunk, ann.account, c, b"digest", ann.tick())[1] for _ in range(2)]
    assert [isinstance(ready, accept.Repeated) for ready in said] == [False, True, False, True]


def test_a_job_is_read_back_as_it_was_submitted(ann: Keeper, db: Database) -> None:
    m = submission(3, 2, label="x", depends_on=[(1, 1)], env_names=["A"])
    m.env_values = {"A": "b"}
    parent = ann.map(1).first
    made = ann.submit(m)
    found = ann.read(clone.source, ann.account, made.first + 1).submit
    assert (found.function, found.name, found.env_values, found.count) == (m.function, "f", {"A": "b"}, 1)
    assert (found.arguments.data, found.arguments.ends, found.arguments.previews) == (b"a1", [2], ["1"])
    assert (found.options.label, found.options.depends_on) == ("x", [])
    for jid, error in ((made.first + 2, Conflict), (99, NotFound)):
        with pytest.raises(error):
            ann.read(clone.source, ann.account, jid)
    with pytest.raises(NotFound):
        Keeper(db, "bob").read(clone.source, ann.account + 1, parent)
    handles = ann.map(1, queue="in").first
    with pytest.raises(Conflict, match="handles the queue"):
        ann.read(clone.source, ann.account, handles)


def test_lists_of_one_submission_and_what_jobs_can_be_filtered_by(ann: Keeper, db: Database) -> None:
    bob = Keeper(db, "bob")
    his = named(bob, 3, "his", label="secret")
    one = named(ann, 3, "brush", label="paint")
    two = named(ann, 1, "draw", core_type="c2")
    by = ann.worker(2)
    first, second = ann.take(by, want=2, kind=2)
    ann.finish(by, done(first), failed(second, Cause.out_of_memory))
    row, other = folds(ann)[1], folds(ann)[0]
    number = row["submission"]
    assert jobs(ann, submission=number) == [one + 2, one + 1, one] and firsts(ann, submission=number) == [one]
    assert jobs(ann, submission=number, state="error") == [one + 1]
    assert jobs(ann, submission=folds(bob)[0]["submission"]) == [] == firsts(ann, submission=folds(bob)[0]["submission"])
    assert row["job"] is None and other["job"]["jid"] == two and other["used"] is None
    paid = sum(each["amount"] or 0 for each in rows(ann, submission=number))
    assert row["used"]["amount"] == paid and row["used"]["runtime"] >= 0
    found = ann.read(lambda tx: filter.choices(tx, ann.account))
    assert (found.functions, found.labels, found.queues, found.envs) == (["brush", "draw"], ["paint"], [], ["base/host"])
    assert "c2" in found.core_types and his


def rows(ann: Keeper, **asked: Any) -> list[dict[str, Any]]:
    return ann.read(lambda tx: listing.newest(tx, ann.account, Choice(**asked)))[0]


def test_counts_are_those_of_the_lists(ann: Keeper) -> None:
    named(ann, 5, "brush", label="paint")
    named(ann, 2, "draw")
    gated = submission(3, depends_on=[(1, 1)])
    ann.submit(gated)
    by = ann.worker()
    a, b, c = ann.take(by, want=3)
    ann.start(by, a)
    ann.finish(by, done(b), failed(c, Cause.out_of_memory))
    states = [one.name for one in Status]
    for asked in ({}, {"label": "paint"}, {"func": "draw"}, {"text": "a"}, {"cause": "out_of_memory"}, {"state": "done"},
                  {"state": "error", "label": "paint"}, {"state": "waiting"}, {"label": "none"}):  # fmt: skip
        found = ann.read(lambda tx, asked=asked: filter.counts(tx, ann.account, Choice(**asked)))
        listed = {state: sum(row["status"] == state for row in rows(ann, **asked)) for state in states}
        assert found.states == {state: count for state, count in listed.items() if count}, asked
        assert found.causes == ({"out_of_memory": 1} if any(row["cause"] for row in rows(ann, **asked)) else {}), asked
    assert firsts(ann, state="done") == [1]
