"""Jobs that wait for jobs, on both databases."""

from __future__ import annotations

import pytest

from picloud.store import job
from picloud.store.act import accept
from picloud.store.db import Database
from picloud.wire.job import Status
from tests.contract.store.storekeeper import Keeper, done, failed


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


def test_children_wait_for_all_parents(ann: Keeper) -> None:
    parents = ann.map(2)
    child = ann.map(2, 1, depends_on=[(parents.first, 1), (parents.first, 2)])
    by = ann.worker()
    one, two = ann.take(by)
    ann.finish(by, done(one))
    assert ann.status(child.first, 2) == "waiting waiting"
    assert ann.finish(by, done(two)).ready_kinds == {1}
    assert ann.status(child.first, 2) == "queued waiting"
    ann.chunk(child, 1, 1)
    assert ann.status(child.first, 2) == "queued queued"
    assert ann.status(ann.map(1, depends_on=[(parents.first, 2)]).first) == "queued"


def test_a_failure_stalls_children_and_their_children(ann: Keeper) -> None:
    parent = ann.map(1)
    child = ann.map(2, 1, depends_on=[(parent.first, 1)])
    lenient = ann.map(1, depends_on=[(child.first + 1, 1)], ignore_dependency_errors=True)
    grandchild = ann.map(1, depends_on=[(child.first + 1, 1)])
    by = ann.worker()
    (one,) = ann.take(by)
    answer = ann.finish(by, failed(one))
    assert answer.closed == [(child.first, 2), (grandchild.first, 1)]
    assert answer.ready_kinds == {1}
    assert ann.status(child.first, 2) == "stalled stalled"
    assert ann.status(lenient.first, 2) == "queued stalled"
    ann.chunk(child, 1, 1)
    assert ann.status(child.first, 2) == "stalled stalled"
    late = ann.map(1, depends_on=[(grandchild.first, 1)])
    (end,) = ann.read(job.finished, ann.account, [(late.first, 1)], 0, 9)
    assert (end.status, f"job {grandchild.first} " in end.failure.message) == (Status.stalled, True)


def test_a_killed_or_unsent_parent_stalls_too(ann: Keeper) -> None:
    parent = ann.map(3, 1)
    killed, unsent = ann.map(1, depends_on=[(parent.first, 1)]), ann.map(1, depends_on=[(parent.first + 2, 1)])
    ann.kill([(parent.first, 1)])
    assert ann.status(killed.first, 2) == "stalled waiting"
    ann.write(accept.vanished, ann.now + 1, ann.now + 1)
    assert ann.status(unsent.first) == "stalled"


def test_what_is_stalled_from_the_start_stalls_what_waits_for_its_unsent_jobs(ann: Keeper) -> None:
    parent = ann.map(1)
    ann.kill([(parent.first, 1)])
    child = ann.map(3, 1, depends_on=[(parent.first, 1)])
    assert ann.status(child.first, 3) == "stalled stalled stalled"
    grandchild = ann.map(1, depends_on=[(child.first + 2, 1)])
    ann.chunk(child, 1, 2)
    assert ann.status(child.first, 4) == "stalled stalled stalled stalled"
    assert grandchild.first == child.first + 3
