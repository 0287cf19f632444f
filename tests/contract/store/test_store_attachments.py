"""Attachments: one handler a queue, as many jobs as it may have, and what they held when they ended."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from picloud.store import code
from picloud.store.db import Database
from picloud.store.queue import attachment, graph, queue
from picloud.wire.error import NotFound
from picloud.wire.job import Cause
from picloud.wire.message import Code, Lease
from picloud.wire.queue import Attach, Attached, Edge
from tests.contract.store.queuekeeper import Queues, Ticket, ended
from tests.contract.store.storekeeper import CODE, Keeper, done, failed, submission


class Handlers(Keeper):
    """A keeper with queues."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.queues = Queues(db, self.account)

    def attach(self, name: str = "in", token: bytes = b"", brought: tuple[Code, ...] = (CODE,), **more: Any) -> Attached:
        submit = msgspec.structs.replace(submission(1, restartable=False), code=list(brought))
        asked = Attach(token or os.urandom(16), name, submit, **more)
        answer: Attached = self.write(attachment.attach, self.account, asked, "", None, self.tick())[0]
        return answer

    def of(self, name: str = "in") -> attachment.Attachment | None:
        found: attachment.Attachment | None = self.read(attachment.of_queue, self.queues.number(name))
        return found

    def start(self, count: int, name: str = "in") -> list[int]:
        jids: list[int] = self.write(attachment.start, self.of(name), count, self.tick()).jids
        return jids

    def ended(self, jid: int) -> attachment.Ended | None:
        found: attachment.Ended | None = self.write(attachment.ended, jid, self.queues.now)
        return found

    def run(self, count: int = 1) -> tuple[int, list[Lease]]:
        """A worker that runs so many new jobs."""
        self.start(count)
        by = self.worker()
        leases = [self.take(by, 1, kind=self.kind())[0] for _ in range(count)]
        self.start_jobs(by, leases)
        return by, leases

    def start_jobs(self, by: int, leases: list[Lease]) -> None:
        super().start(by, *leases)


@pytest.fixture
def ann(db: Database) -> Handlers:
    return Handlers(db)


def test_code_that_is_missing_is_asked_for_and_nothing_is_stored(ann: Handlers) -> None:
    assert ann.attach(brought=()) == Attached(0, [CODE.digest])
    with pytest.raises(NotFound):
        ann.queues.count("in")
    assert ann.attach().version == 1


def test_a_handler_replaces_the_one_before(ann: Handlers) -> None:
    token = os.urandom(16)
    assert ann.attach(token=token).version == ann.attach(token=token).version == 1, "a repeat"
    assert ann.attach(outputs=["out"], edges=[Edge("KeyError", "bad")], max_jobs=3).version == 2
    found = ann.of()
    assert found is not None and (found.version, found.max_jobs, found.attach.outputs) == (2, 3, ["out"])
    assert [one.name for one in ann.read(queue.every, ann.account)] == ["bad", "in", "out"]
    assert ann.write(attachment.detach, ann.account, "in", 5) and not ann.write(attachment.detach, ann.account, "in", 5)
    assert ann.of() is None and ann.attach().version == 3


@pytest.mark.parametrize("end", ["attach", "detach", "none"])
def test_a_job_of_a_former_handler_is_given_nothing_more(ann: Handlers, end: str) -> None:
    ann.attach()
    _, (lease,) = ann.run()
    ann.queues.push("in", b"1")
    (held,) = ann.queues.take("in", jid=lease.jid)
    if end == "attach":
        ann.attach()
    elif end == "detach":
        ann.write(attachment.detach, ann.account, "in", ann.tick())
    else:
        ann.write(attachment.resize, ann.account, "in", 0)
    ann.queues.push("in", b"2")
    assert ann.queues.take("in", jid=lease.jid) == []
    assert ann.queues.exchange("in", ended(held), jid=lease.jid).refused == [], "but it ends what it holds"
    assert len(ann.queues.take("in", jid=99)) == 1


def test_no_more_jobs_than_it_may_have_whoever_starts_them(ann: Handlers, other: Database) -> None:
    ann.attach(max_jobs=3)
    found = ann.of()

    def start(db: Database) -> int:
        return len(ann.write(attachment.start, found, 2, ann.tick(), db=db).jids)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(start, [ann.db, other, ann.db, other])) == 3
    assert ann.start(1) == []
    ann.write(attachment.resize, ann.account, "in", 5)
    assert len(ann.start(9)) == 2
    ann.attach(max_jobs=6)
    assert ann.write(attachment.start, found, 1, ann.tick()).jids == [], "that version is over"
    assert len(ann.start(9)) == 1, "jobs of the former one count"


def test_the_need_of_a_queue(ann: Handlers) -> None:
    ann.queues.push("in", *(b"%d" % n for n in range(50)))
    number = ann.queues.number("in")
    assert ann.read(attachment.need, number, 10, ann.queues.now).attachment is None
    ann.attach(readers=2, max_jobs=1)
    need = ann.read(attachment.need, number, 10, ann.queues.now + 700)
    assert (need.visible, need.waited_ms, need.paused, need.jobs) == (20, 700, False, [])
    (jid,) = ann.start(1)
    ann.queues.act(queue.change, ann.account, "in", ann.queues.now, paused=True)
    need = ann.read(attachment.need, number, 10, ann.queues.now)
    assert need.paused and need.jobs == [(jid, 1)]
    ann.queues.act(queue.remove, ann.account, "in")
    assert ann.read(attachment.need, number, 10, ann.queues.now).attachment is None
    assert ann.read(attachment.live) == []


@pytest.mark.parametrize(("cause", "blamed"), [(Cause.signal, True), (Cause.exception, False), (None, False)])
def test_what_a_job_held_comes_back_when_it_has_ended(ann: Handlers, cause: Cause | None, blamed: bool) -> None:
    ann.queues.push("in", b"1", b"2")
    ann.attach()
    by, (lease,) = ann.run()
    held = ann.queues.take("in", jid=lease.jid)
    assert len(held) == 2 and ann.ended(lease.jid) is None, "it lives"
    assert ann.read(attachment.handled_by, lease.jid) is not None
    ann.finish(by, done(lease) if cause is None else failed(lease, cause))
    found = ann.ended(lease.jid)
    assert found is not None and found.rung == {ann.queues.number("in")}
    assert ann.ended(lease.jid) is None and ann.read(attachment.alive) == []
    assert ann.queues.take("in", jid=lease.jid) == [], "a request that was slower than the word of its job's end"
    again = ann.queues.take("in", jid=99)
    assert len(again) == (1 if blamed else 2), "suspects come alone"
    assert ann.queues.exchange("in", ended(held[0]), jid=lease.jid).refused == [0]


def test_the_death_of_a_worker_is_held_against_no_message_until_it_is_a_habit(ann: Handlers) -> None:
    ann.queues.push("in", b"1", b"2")
    ann.attach()
    for died in range(1, 12):
        by, (lease,) = ann.run()
        held = ann.queues.take("in", jid=lease.jid)
        assert len(held) == (2 if died <= attachment.SEASONED else 1)
        ann.revoke(by)
        assert ann.ended(lease.jid) is not None


def test_a_picture_of_all(ann: Handlers) -> None:
    ann.queues.push("in", b"1", b"2", b"3")
    ann.attach(outputs=["out"])
    by, (lease,) = ann.run()
    (ticket,) = ann.queues.take("in", 1, jid=lease.jid)
    ann.queues.exchange("in", ended(Ticket(*ticket)), jid=lease.jid)
    node, other = ann.read(graph.read, ann.account, [], 0, ann.queues.now)
    assert (node.queue.name, node.inside.waiting, node.running, node.starting) == ("in", 2, 1, 0)
    assert node.windows[0][1][:2] == (3, 1) and node.handler is not None and other.handler is None
    assert ann.read(graph.read, ann.account + 1, [], 0, ann.queues.now) == []
    with pytest.raises(NotFound):
        ann.read(graph.read, ann.account, ["nothing"], 0, ann.queues.now)
    assert by


def test_code_of_a_handler_in_force_is_not_swept(ann: Handlers) -> None:
    ann.attach()
    newest, loose = ann.read(code.every)
    assert loose == set()
    ann.write(attachment.detach, ann.account, "in", 5)
    newest, loose = ann.read(code.every)
    assert loose == {(ann.account, CODE.digest)}
    ann.attach()
    assert ann.write(code.remove, loose, newest, 10**15) == 0, "attached meanwhile"
