"""Webhooks: each end of a job is in the outbox once, written with the end itself."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from picloud.store import account, closing
from picloud.store.act import close, kill, rerun
from picloud.store.call import stored
from picloud.store.db import Database
from picloud.store.webhook import delivery, webhook
from picloud.store.webhook.delivery import Delivery, State
from picloud.wire.error import NotFound
from tests.contract.store.storekeeper import Keeper, done, failed, submission

URL, OTHER = "https://example.org/one", "https://example.org/label"


@pytest.fixture
def ann(db: Database) -> Keeper:
    made = Keeper(db)
    put(made, "", "")
    return made


def put(ann: Keeper, label: str, url: str, account_id: int = 0) -> None:
    ann.write(webhook.put, account_id or ann.account, label, url, "key", b"sealed", ann.tick())


def told(ann: Keeper, number: int = 0) -> list[Delivery]:
    """The account's outbox, the oldest first."""
    found: list[Delivery] = ann.read(delivery.listing, number or ann.account)
    return found[::-1]


def bodies(ann: Keeper) -> list[dict[str, Any]]:
    return [json.loads(due.body) for due in ann.read(delivery.due, 1 << 50, 1000)]


def test_a_job_that_ends_well_is_told_once(ann: Keeper) -> None:
    made = ann.map(2, webhook=URL, label="mine")
    ann.map(1)
    by = ann.worker()
    leases = ann.take(by)
    assert told(ann) == []
    ann.finish(by, *map(done, leases))
    ann.finish(by, *map(done, leases))
    first, second = told(ann)
    assert [first.jid, second.jid] == [made.first, made.first + 1] and first.event != second.event
    assert (first.url, first.state, first.tries, first.due) == (URL, State.waiting, 0, first.created)
    body = bodies(ann)[0]
    assert body["type"] == "job.done" and body["id"] == first.event and body["timestamp"].startswith("1970-01-01T00:00:01.")
    assert body["data"] == {"jid": 1, "status": "done", "cause": None, "label": "mine", "function": "f",
                            "runtime": body["data"]["runtime"]}  # fmt: skip
    assert body["data"]["runtime"] > 0


def test_only_the_last_of_several_attempts_is_told(ann: Keeper) -> None:
    ann.map(1, webhook=URL, retries=1)
    by = ann.worker()
    ann.finish(by, failed(ann.take(by)[0], retry=True))
    assert told(ann) == []
    (again,) = ann.take(by)
    ann.finish(by, failed(again, retry=True))
    (only,) = bodies(ann)
    assert (only["type"], only["data"]["cause"]) == ("job.error", "exception")


def test_killed_waiting_and_running(ann: Keeper) -> None:
    ann.map(2, webhook=URL)
    by = ann.worker()
    ann.start(by, ann.take(by, 1)[0])
    for _ in range(2):
        ann.write(kill.kill, ann.account, [(1, 2)], ann.tick())
    assert [(one["type"], one["data"]["jid"], one["data"]["runtime"]) for one in bodies(ann)] == [
        ("job.killed", 1, None), ("job.killed", 2, None),
    ]  # fmt: skip


def test_stalled_at_once_or_later(ann: Keeper) -> None:
    ann.map(1)
    waits = ann.map(1, webhook=URL, depends_on=[(1, 1)])
    behind = ann.map(2, webhook=URL, depends_on=[(waits.first, 1)])
    assert told(ann) == []
    ann.write(kill.kill, ann.account, [(1, 1)], ann.tick())
    born = ann.map(1, webhook=URL, depends_on=[(1, 1)])
    assert [(one["type"], one["data"]["jid"], one["data"]["cause"]) for one in bodies(ann)] == [
        ("job.stalled", jid, "dependency") for jid in (waits.first, behind.first, behind.first + 1, born.first)
    ]


def test_gates_and_webhooks_of_the_same_jobs(ann: Keeper) -> None:
    """Both stand in one table: who waits for the job, and that its end is to be told."""
    made = ann.map(1, webhook=URL)
    child = ann.map(1, depends_on=[(made.first, 1)])
    by = ann.worker()
    ann.finish(by, *map(done, ann.take(by)))
    assert [one.jid for one in told(ann)] == [made.first]
    ready = ann.take(by)
    assert [lent.jid for lent in ready] == [child.first]
    ann.finish(by, *map(done, ready))
    assert len(told(ann)) == 1


def test_chunks_that_come_later_and_jobs_never_sent(ann: Keeper) -> None:
    made = ann.map(5, 2, webhook=URL)
    ann.chunk(made, 2, 2)
    ann.chunk(made, 2, 2)
    ann.write(kill.kill, ann.account, [(made.first, 5)], ann.tick())
    while ann.read(closing.any_left):
        ann.write(close.proceed, ann.tick())
    assert [one.jid for one in told(ann)] == [1, 2, 3, 4], "nobody can be told of a job that never came"


def test_the_webhook_of_a_label(ann: Keeper) -> None:
    bob = ann.write(account.create, "bob", 1)
    ann.map(1, label="early")
    put(ann, "early", OTHER)
    put(ann, "late", OTHER)
    put(ann, "early", "https://example.org/bob", bob)
    ann.map(1, label="early")
    both = ann.map(1, label="late", webhook=URL)
    ann.map(1, label="third")
    put(ann, "late", OTHER + "2")
    ann.write(kill.kill, ann.account, None, ann.tick())
    assert [(one.jid, one.url) for one in told(ann)] == [(2, OTHER), (both.first, URL), (both.first, OTHER + "2")]
    assert told(ann, bob) == []
    ann.map(1, label="early")
    ann.write(webhook.remove, ann.account, "early")
    ann.write(kill.kill, ann.account, None, ann.tick())
    assert len(told(ann)) == 3, "who is gone when the job ends is told nothing"


def test_a_rerun_is_told_as_the_job_was(ann: Keeper) -> None:
    ann.map(1, webhook=URL)
    ann.write(kill.kill, ann.account, None, ann.tick())
    ann.write(lambda tx: rerun.rerun(tx, ann.account, [(1, 1)], failed=False, token=os.urandom(16), now=ann.tick()))
    ann.write(kill.kill, ann.account, None, ann.tick())
    assert [one.jid for one in told(ann)] == [1, 2]


def test_nothing_is_stored_while_nobody_signs(ann: Keeper) -> None:
    ann.write(webhook.remove, ann.account, "")
    with pytest.raises(NotFound, match="nothing signs"):
        ann.map(1, webhook=URL)
    with pytest.raises(NotFound, match="nothing signs"):
        ann.write(stored.keep, ann.account, submission(1, webhook=URL), "", None, 1)
    with pytest.raises(NotFound, match="has no webhook"):
        ann.write(webhook.remove, ann.account, "none")
    assert ann.map(1).first == 1


def test_tries(ann: Keeper) -> None:
    ann.map(3, webhook=URL)
    ann.write(kill.kill, ann.account, None, ann.tick())
    now = ann.tick()
    one, two, three = (due.id for due in ann.read(delivery.due, now, 10))
    ann.write(delivery.tried, one, 204, "", None, now)
    ann.write(delivery.tried, two, 500, "answered 500", 5000, now)
    ann.write(delivery.tried, three, 0, "no answer" * 100, None, now)
    assert ann.read(delivery.due, now + 4999, 10) == []
    (again,) = ann.read(delivery.due, now + 5000, 10)
    assert (again.id, again.tries, again.label, again.data) == (two, 1, "", b"sealed")
    assert ann.read(delivery.due, now + 5000, 10, [ann.account]) == []
    ann.write(delivery.tried, one, 500, "late word of an earlier server", 1, now)
    states = [(each.state, each.tries, each.answer, each.due, each.ended) for each in told(ann)]
    assert states == [(1, 1, 204, None, now), (0, 1, 500, now + 5000, None), (2, 1, 0, None, now)]
    assert len(told(ann)[2].trouble) == 500
    ann.write(webhook.remove, ann.account, "")
    assert ann.read(delivery.due, now + 5000, 10)[0].label is None
    assert ann.write(delivery.expire, now + 1) is False
    assert [each.id for each in told(ann)] == [two]


def test_pages(ann: Keeper) -> None:
    ann.map(5, webhook=URL)
    ann.write(kill.kill, ann.account, None, ann.tick())
    newest = ann.read(lambda tx: delivery.listing(tx, ann.account, limit=2))
    assert [one.jid for one in newest] == [5, 4]
    older = ann.read(lambda tx: delivery.listing(tx, ann.account, before=newest[-1].id))
    assert [one.jid for one in older] == [3, 2, 1]
