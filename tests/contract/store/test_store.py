"""What the store promises of jobs, on both databases."""

from __future__ import annotations

import os

import pytest

from picloud.store import blob, job
from picloud.store.act import lease, revoke
from picloud.store.act.answer import Finish
from picloud.store.act.rerun import rerun
from picloud.store.db import Database
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.job import MAX_ATTEMPTS, Cause, Status
from picloud.wire.message import Outcome, Submitted
from tests.contract.store.storekeeper import CODE, Keeper, arguments, done, failed, submission


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


# -- accepting --------------------------------------------------------------------------------------------------------


def test_a_map_is_one_range_whose_unsent_jobs_wait(ann: Keeper) -> None:
    made = ann.map(5, 2)
    assert ann.status(made.first, 5) == "queued queued waiting waiting waiting"
    assert ann.chunk(made, 2, 3).first == made.first + 2
    assert ann.status(made.first, 5) == "queued " * 4 + "queued"
    given = ann.take(ann.worker())
    assert [(one.jid, one.data) for one in given] == [(made.first + i, b"a%d" % i) for i in range(5)]


def test_a_map_of_unknown_length_gets_a_range_a_block(ann: Keeper) -> None:
    made = ann.map(None, 2)
    between = ann.map(1)
    added = ann.chunk(made, 2, 3)
    assert between.first == made.first + 2
    assert (added.first, added.count) == (made.first + 3, 3)
    assert ann.chunk(made, 5, 0, final=True).count == 0
    with pytest.raises(BadRequest, match="complete"):
        ann.chunk(made, 6, 1)


def test_missing_code_stores_nothing(ann: Keeper) -> None:
    m = submission(2)
    m.code = []
    assert ann.submit(m) == Submitted(0, 0, 0, [CODE.digest])
    assert ann.read(job.ready) == []
    m.code = [CODE]
    assert ann.submit(m).accepted == 2


def test_a_repeat_gets_the_same_answer_and_another_body_a_conflict(ann: Keeper) -> None:
    m = submission(4, 2)
    made = ann.submit(m)
    assert ann.submit(m) == made
    assert ann.chunk(made, 2, 2) == ann.chunk(made, 2, 2)
    with pytest.raises(Conflict):
        ann.chunk(made, 3, 1)
    m.arguments = arguments(1)
    with pytest.raises(Conflict):
        ann.submit(m)
    assert ann.read(job.counts, ann.account)["queued"] == 4


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: setattr(m, "token", b"short"),
        lambda m: setattr(m, "count", 1),
        lambda m: setattr(m, "name", "nul\0"),
        lambda m: setattr(m.options, "label", "x" * 1_000_000),
        lambda m: m.arguments.ends.reverse(),
        lambda m: m.arguments.previews.pop(),
        lambda m: m.arguments.blobs.update({7: "0" * 32}),
        lambda m: setattr(m, "code", [CODE.__class__(CODE.digest, "function", b"other")]),
    ],
)
def test_what_contradicts_itself_is_refused_and_nothing_is_stored(ann: Keeper, spoil: object) -> None:
    m = submission(2)
    spoil(m)  # type: ignore[operator]
    with pytest.raises(BadRequest):
        ann.submit(m)
    assert ann.read(job.ready) == []


def test_previews_may_hold_anything(ann: Keeper) -> None:
    m = submission(1)
    m.arguments.previews = ["nul \0 quote ' \" \\ \u20ac \U0001f600"]
    made = ann.submit(m)
    assert ann.status(made.first) == "queued"


def test_another_accounts_jobs_are_not_there(ann: Keeper, db: Database) -> None:
    made, bob = ann.map(2), Keeper(db, "bob")
    for query in (job.statuses, job.unsent):
        with pytest.raises(NotFound, match=str(made.first)):
            bob.read(query, bob.account, [(made.first, 1)])
    assert bob.read(job.finished, bob.account, [(made.first, 2)], 0, 10) == []
    for act in (
        lambda: bob.kill([(made.first, 1)]),
        lambda: bob.chunk(made, 2, 1),
        lambda: bob.map(1, depends_on=[(made.first, 1)]),
    ):
        with pytest.raises(NotFound):
            act()
    with pytest.raises(NotFound):
        bob.write(job.delete, bob.account, [(made.first, 1)])
    bob.kill(None)
    assert ann.status(made.first, 2) == "queued queued"


# -- leasing ----------------------------------------------------------------------------------------------------------


def test_awaited_jobs_go_first_then_priority_then_jid(ann: Keeper) -> None:
    late, soon, awaited = ann.map(2, priority=9), ann.map(2, priority=1), ann.map(2, priority=9)
    given = ann.take(ann.worker(), 5, (awaited.first + 1, 999))
    assert [one.jid for one in given] == [awaited.first + 1, soon.first, soon.first + 1, late.first, late.first + 1]
    assert [one.awaited for one in given] == [True, False, False, False, False]


def test_a_leased_job_shows_as_queued_and_is_not_given_again(ann: Keeper) -> None:
    made = ann.map(2)
    by = ann.worker()
    (one, _) = ann.take(by)
    assert ann.take(by) == []
    assert ann.status(made.first, 2) == "queued queued"
    assert ann.start(by, one) == [one.jid]
    assert ann.start(by, one) == []
    assert ann.status(made.first, 2) == "processing queued"
    assert ann.read(job.counts, ann.account) == {"waiting": 0, "queued": 1, "processing": 1}


def test_a_job_that_must_not_run_twice_comes_alone(ann: Keeper) -> None:
    ann.map(2)
    single = ann.map(2, restartable=False)
    by = ann.worker()
    assert [one.jid for one in ann.take(by)] == [single.first - 2, single.first - 1]
    assert [one.jid for one in ann.take(by)] == [single.first]
    assert [one.jid for one in ann.take(by, prefer=(single.first + 1,))] == [single.first + 1]


def test_what_is_returned_costs_no_attempt(ann: Keeper) -> None:
    ann.map(3)
    by = ann.worker()
    first, second, third = ann.take(by)
    ann.start(by, second)
    ann.kill([(third.jid, 1)])
    assert ann.give_back(by, first, second, third) == {1}
    (again,) = ann.take(by)
    assert (again.jid, again.n) == (first.jid, 1)
    assert again.lease != first.lease
    assert ann.finish(by, done(first)).stale == [(first.jid, 1)]
    assert len(ann.finish(by, done(again)).moved) == 1


def test_specs_carry_the_environment_that_nobody_else_sees(ann: Keeper) -> None:
    m = submission(1, label="mine")
    m.env_values, m.options.env_names = {"TOKEN": "secret"}, ["TOKEN"]
    made = ann.submit(m)
    (spec,) = ann.read(lease.specs, [made.submission])
    assert (spec.env, spec.function, spec.options.label, spec.client_python) == ({"TOKEN": "secret"}, CODE.digest, "mine", "3.11")


# -- ending -----------------------------------------------------------------------------------------------------------


def test_one_outcome_is_accepted(ann: Keeper) -> None:
    made = ann.map(2)
    by = ann.worker()
    one, two = ann.take(by)
    answer = ann.finish(by, done(one, b"first"), failed(two), done(one, b"twice"))
    assert [(end.jid, end.status, end.data) for end in answer.moved] == [(one.jid, 3, b"first"), (two.jid, 4, None)]
    assert answer.stale == [(one.jid, 1)]
    assert ann.finish(by, failed(one)).stale == [(one.jid, 1)]
    ended = ann.read(job.finished, ann.account, [(made.first, 2)], 0, 10)
    assert [(end.jid, end.data, end.failure and end.failure.message) for end in ended] == [
        (one.jid, b"first", None),
        (two.jid, None, "it broke"),
    ]
    assert [end.jid for end in ann.read(job.finished, ann.account, [(1, 99)], one.jid, 10)] == [two.jid]


def test_only_the_holder_of_the_lease_ends_a_job(ann: Keeper) -> None:
    made = ann.map(1)
    by, thief = ann.worker(), ann.worker()
    (one,) = ann.take(by)
    forged = Outcome(one.jid, one.n, os.urandom(16), 0, 5)
    assert ann.finish(thief, done(one)).stale == ann.finish(by, forged).stale == [(one.jid, 1)]
    assert ann.status(made.first) == "queued"


def test_an_exception_is_retried_as_often_as_was_asked(ann: Keeper) -> None:
    made = ann.map(1, retries=2, retry_delay_ms=100)
    by = ann.worker()
    for _ in range(2):
        (one,) = ann.take(by)
        assert ann.finish(by, failed(one, retry=True)).moved == []
        assert ann.status(made.first) == "waiting"
        assert ann.write(lease.due, ann.now) == set()
        ann.now = ann.read(lease.next_due)
        assert ann.write(lease.due, ann.now) == {1}
    (one,) = ann.take(by)
    assert one.n == 3
    assert ann.finish(by, failed(one, retry=True)).moved[0].status == Status.error


def test_an_exception_that_is_not_to_be_retried_ends_the_job(ann: Keeper) -> None:
    ann.map(1, retries=2)
    by = ann.worker()
    (one,) = ann.take(by)
    assert ann.finish(by, failed(one, retry=False)).moved[0].status == Status.error


def test_a_job_whose_runner_dies_again_and_again_is_held_responsible(ann: Keeper) -> None:
    ann.map(1)
    by = ann.worker()
    for n in range(1, MAX_ATTEMPTS + 1):
        (one,) = ann.take(by)
        assert (one.n, one.alone) == (n, n > 1)
        answer = ann.finish(by, failed(one, Cause.worker_lost))
    (end,) = answer.moved
    assert (end.status, end.failure and end.failure.cause) == (Status.error, "signal")


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_leads_to_its_state(ann: Keeper, cause: Cause) -> None:
    made = ann.map(1, restartable=False)
    by = ann.worker()
    (one,) = ann.take(by)
    (end,) = ann.finish(by, done(one) if cause == Cause.none else failed(one, cause)).moved
    assert Status(end.status).name == ann.status(made.first)
    assert end.failure is None if cause == Cause.none else end.failure and end.failure.cause == cause.name


def test_a_result_whose_bytes_never_came_is_a_storage_failure(ann: Keeper) -> None:
    ann.map(2)
    by = ann.worker()
    one, two = ann.take(by)
    (name,) = ann.write(blob.new, ann.account, [7], ann.now)
    lost = Outcome(one.jid, one.n, one.lease, 0, 5, blob=name)
    assert (ann.finish(by, lost).moved[0].failure or failed(one)).cause == "storage"
    ann.write(blob.arrived, name, 7, ann.now)
    kept = Outcome(two.jid, two.n, two.lease, 0, 5, blob=name)
    assert ann.finish(by, kept).moved[0].blob == name


# -- lost workers -----------------------------------------------------------------------------------------------------


def test_a_revoked_worker_changes_nothing_any_more(ann: Keeper) -> None:
    made = ann.map(3)
    by = ann.worker()
    one, two = ann.take(by, 2)
    ann.start(by, one)
    assert ann.revoke(by) == Finish(ready_kinds={1})
    assert ann.revoke(by) == Finish()
    assert ann.finish(by, done(one), done(two)).stale == [(one.jid, 1), (two.jid, 1)]
    assert ann.take(by) == []
    assert ann.status(made.first, 3) == "queued queued queued"
    assert [(x.jid, x.n, x.alone) for x in ann.take(ann.worker())] == [
        (one.jid, 2, True),
        (two.jid, 2, False),
        (made.first + 2, 1, False),
    ]


def test_a_job_that_must_not_run_twice_fails_with_its_worker(ann: Keeper) -> None:
    made = ann.map(1, restartable=False)
    by = ann.worker()
    ann.take(by)
    (end,) = ann.revoke(by).moved
    assert (end.jid, end.failure and end.failure.cause) == (made.first, "worker_lost")


def test_deaths_of_the_workers_around_it_do_not_fail_a_job(ann: Keeper) -> None:
    ann.map(1)
    for _ in range(MAX_ATTEMPTS * 2):
        by = ann.worker(1)
        (one,) = ann.take(by)
        ann.start(by, one)
        assert ann.write(lambda tx, by=by: revoke.revoke(tx, by, "picloud down", ann.now, blameless=True)).moved == []


def test_a_job_that_takes_its_worker_along_unseen_ends_in_the_end(ann: Keeper) -> None:
    ann.map(1)
    deaths = 0
    while True:
        by = ann.worker(1)
        ann.take(by)
        deaths += 1
        if ann.revoke(by).moved:
            break
    assert deaths == lease.DOUBTS + MAX_ATTEMPTS


# -- deleting and running again ----------------------------------------------------------------------------------------


def test_finished_jobs_can_be_deleted_and_unfinished_ones_not(ann: Keeper) -> None:
    made = ann.map(2)
    by = ann.worker()
    one, two = ann.take(by)
    ann.finish(by, done(one))
    with pytest.raises(Conflict):
        ann.write(job.delete, ann.account, [(made.first, 2)])
    ann.finish(by, done(two))
    assert ann.write(job.delete, ann.account, [(made.first, 2)]) == 2
    with pytest.raises(NotFound):
        ann.status(made.first)


def test_a_rerun_makes_new_jobs_of_the_same_arguments(ann: Keeper) -> None:
    made = ann.map(3)
    by = ann.worker()
    one, two, three = ann.take(by)
    token = os.urandom(16)

    def again(tx):
        return rerun(tx, ann.account, [(made.first, 3)], failed=True, token=token, now=ann.now)

    with pytest.raises(Conflict, match="not finished"):
        ann.write(again)
    ann.finish(by, done(one), failed(two), failed(three))
    answer = ann.write(again)
    assert answer == ([(made.first + 3, 2)], {1})
    assert ann.write(again) == (answer[0], set())
    assert [(x.jid, x.data) for x in ann.take(by)] == [(made.first + 3, b"a1"), (made.first + 4, b"a2")]
