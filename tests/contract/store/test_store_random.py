"""Random acts in random order: only legal moves happen, nothing is lost, every end happens once."""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Connection, text

from picloud.store import job
from picloud.store.act import accept, finish, kill, lease, revoke
from picloud.store.act.answer import Finish
from picloud.store.db import Database
from picloud.wire.job import FIRST_FINAL, MOVES, Cause, Status
from picloud.wire.message import Lease
from tests.contract.store.storekeeper import DEADLINE, Keeper, done, failed, submission

ENDS = [Cause.none, Cause.exception, Cause.worker_lost, Cause.signal, Cause.timeout]


def reachable() -> dict[Status, set[Status]]:
    """What a job may have become between two looks."""
    found = {one: {one, *MOVES[one]} for one in MOVES}
    for _ in MOVES:
        found = {one: set().union(*(found[step] for step in steps)) for one, steps in found.items()}
    return found


REACHABLE = reachable()


def check_books(tx: Connection) -> None:
    """What must hold between the tables, always."""

    def none(what: str, query: str) -> None:
        assert tx.execute(text(query)).scalar_one() == 0, what

    none("a lease without its job", "SELECT count(*) FROM lease l LEFT JOIN job j ON j.jid = l.jid WHERE j.jid IS NULL")
    none(
        "an unfinished job is held exactly while a lease is out",
        "SELECT count(*) FROM job j LEFT JOIN lease l ON l.jid = j.jid "
        "WHERE j.status < 3 AND (j.held = 1) <> (l.jid IS NOT NULL)",
    )
    none(
        "a job is in processing only under a started lease",
        "SELECT count(*) FROM job j LEFT JOIN lease l ON l.jid = j.jid WHERE j.status = 2 AND l.started IS NULL",
    )
    none(
        "a done job has a result, others that are not final have none",
        "SELECT count(*) FROM job j LEFT JOIN result r ON r.jid = j.jid "
        "WHERE (j.status = 3 AND r.jid IS NULL) OR (j.status < 3 AND r.jid IS NOT NULL)",
    )
    none("final jobs have an end, others none", "SELECT count(*) FROM job WHERE (status >= 3) <> (finished IS NOT NULL)")
    none(
        "the attempts counted are those written",
        "SELECT count(*) FROM job j WHERE j.attempts <> "
        "(SELECT count(*) FROM attempt a WHERE a.jid = j.jid) + (SELECT count(*) FROM lease l WHERE l.jid = j.jid)",
    )
    none(
        "a done job has one attempt that did it",
        "SELECT count(*) FROM job j WHERE j.status = 3 AND 1 <> "
        "(SELECT count(*) FROM attempt a WHERE a.jid = j.jid AND a.cause = 0)",
    )
    none("a finished job holds no gate", "SELECT count(*) FROM dependency d JOIN job j ON j.jid = d.parent WHERE j.status >= 3")
    none("a gate is shut while something holds it", "SELECT count(*) FROM submission s WHERE (s.gate = 1) <> "
         "EXISTS (SELECT 1 FROM dependency d WHERE d.child = s.id)")  # fmt: skip


class Moves(RuleBasedStateMachine):
    """One account, a few workers, every act."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ann = Keeper(Database.open(f"sqlite:///{Path(self.folder.name)}/p.sqlite"))
        self.open: list[tuple[Any, int]] = []  # submission, jobs still to send
        self.held: dict[int, list[Lease]] = {}
        self.old: list[tuple[int, Lease]] = []
        self.seen: dict[int, Status] = {}
        self.ended: set[int] = set()
        self.last = 0

    def teardown(self) -> None:
        self.ann.db.close()
        self.folder.cleanup()

    def choose(self, data: Any, by: int) -> list[Lease]:
        return data.draw(st.lists(st.sampled_from(self.held[by]), unique_by=lambda one: one.jid)) if self.held[by] else []

    def drop(self, by: int, chosen: list[Lease]) -> None:
        self.old += [(by, one) for one in chosen]
        self.held[by] = [one for one in self.held[by] if one not in chosen]

    @rule(
        count=st.integers(1, 5),
        unsent=st.integers(0, 2),
        restartable=st.booleans(),
        retries=st.integers(0, 1),
        delay=st.sampled_from([0, 3]),
        priority=st.integers(1, 3),
        lenient=st.booleans(),
        data=st.data(),
    )
    def submit(self, count: int, unsent: int, restartable: bool, retries: int, delay: int, priority: int, lenient: bool,
               data: Any) -> None:  # fmt: skip
        parents = data.draw(st.lists(st.integers(1, self.last), max_size=2)) if self.last else []
        made = self.ann.map(count + unsent, count, restartable=restartable, retries=retries, retry_delay_ms=delay,
                            priority=priority, depends_on=[(jid, 1) for jid in parents],
                            ignore_dependency_errors=lenient)  # fmt: skip
        self.last = made.first + count + unsent - 1
        if unsent:
            self.open.append((made, count))

    @precondition(lambda self: self.open)
    @rule()
    def chunk(self) -> None:
        made, offset = self.open.pop(0)
        if self.ann.write(accept.vanished, 0, self.ann.now).closed == []:
            self.ann.chunk(made, offset, 1)

    @rule()
    def vanish(self) -> None:
        self.ann.tick()
        self.ann.write(accept.vanished, self.ann.now, self.ann.now)
        self.open.clear()

    @rule()
    def hire(self) -> None:
        if len(self.held) < 3:
            self.held[self.ann.worker(1)] = []

    @precondition(lambda self: self.held)
    @rule(data=st.data(), want=st.integers(1, 4))
    def take(self, data: Any, want: int) -> None:
        by = data.draw(st.sampled_from(sorted(self.held)))
        prefer = data.draw(st.lists(st.integers(1, self.last), max_size=2)) if self.last else []
        self.held[by] += self.ann.take(by, want, tuple(prefer))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def start(self, data: Any) -> None:
        by = data.draw(st.sampled_from(sorted(self.held)))
        self.ann.start(by, *self.choose(data, by))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: Any) -> None:
        by = data.draw(st.sampled_from(sorted(self.held)))
        chosen = self.choose(data, by)
        self.ann.give_back(by, *chosen)
        self.old += [(by, one) for one in chosen]

    @precondition(lambda self: self.held)
    @rule(data=st.data(), ends=st.lists(st.sampled_from(ENDS), min_size=9), retry=st.booleans())
    def finish(self, data: Any, ends: list[Cause], retry: bool) -> None:
        by = data.draw(st.sampled_from(sorted(self.held)))
        chosen = self.choose(data, by)
        outcomes = [done(one) if cause == Cause.none else failed(one, cause, retry=retry)
                    for one, cause in zip(chosen, ends, strict=False)]  # fmt: skip
        self.note(self.ann.finish(by, *outcomes))
        self.drop(by, chosen[: len(ends)])

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def finish_again(self, data: Any) -> None:
        by, one = data.draw(st.sampled_from(self.old))
        current = [x for x in self.held.get(by, []) if x.lease == one.lease]
        answer = self.ann.finish(by, done(one))
        self.note(answer)
        if answer.moved:
            assert current, "an old lease moved a job"

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def revoke(self, data: Any) -> None:
        by = data.draw(st.sampled_from(sorted(self.held)))
        self.note(self.ann.revoke(by))
        self.old += [(by, one) for one in self.held.pop(by)]

    @precondition(lambda self: self.last)
    @rule(data=st.data())
    def kill(self, data: Any) -> None:
        first = data.draw(st.integers(1, self.last))
        self.ann.kill([(first, min(2, self.last - first + 1))])

    @rule(ticks=st.integers(1, 5))
    def wait(self, ticks: int) -> None:
        self.ann.now += ticks
        self.ann.write(lease.due, self.ann.now)

    def note(self, answer: Finish) -> None:
        jids = {end.jid for end in answer.moved}
        assert len(jids) == len(answer.moved)
        assert not jids & self.ended, "a job ended twice"
        self.ended |= jids

    @invariant()
    def only_legal_moves(self) -> None:
        if not self.last:
            return
        now = {jid: Status(byte) for jid, byte in enumerate(self.ann.read(job.statuses, self.ann.account, [(1, self.last)]), 1)}
        for jid, was in self.seen.items():
            assert now[jid] in REACHABLE[was], f"job {jid}: {was.name} -> {now[jid].name}"
            assert was < FIRST_FINAL or now[jid] == was
        self.seen = now
        self.ann.read(check_books)


TestMoves = Moves.TestCase
TestMoves.settings = settings(
    max_examples=15,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.generate],  # a story of forty steps is read faster than it is shortened
)


def test_two_connections_in_a_crowd(db: Database, other: Database) -> None:
    """Hundreds of acts at once from both connections; then the books are checked."""
    chance = random.Random(7)
    ann = Keeper(db)
    ann.map(1)
    stores = [db, other]
    workers = [ann.worker(1) for _ in range(6)]
    leases: dict[int, list[Lease]] = defaultdict(list)
    ended: list[int] = []
    flying: list[tuple[str, int, Future[Any]]] = []

    def send(what: str, by: int, act: Any, *args: Any) -> None:
        flying.append((what, by, chance.choice(stores).write(act, *args)))

    for step in range(40):
        now = 2_000 + step
        for by in workers:
            send("take", by, lease.take, by, 1, chance.randint(1, 9), [chance.randint(1, 300)], now)
            if held := leases.pop(by, []):
                ends = [done(x) if chance.random() < 0.7 else failed(x, chance.choice(ENDS[1:]), retry=True) for x in held]
                for _ in range(2):
                    send("end", by, finish.finish, by, ends, now)
        depends = [(chance.randint(1, 20), 1)] if step > 10 else []
        m = submission(chance.randint(1, 30), retries=1, depends_on=depends)
        for _ in range(2):
            send("submit", 0, lambda tx, m=m, now=now: accept.submit(tx, ann.account, m, now=now))
        if step % 7 == 6:
            gone = workers.pop(0)
            send("end", gone, revoke.revoke, gone, "gone", now)
            leases.pop(gone, None)
            workers.append(ann.worker(1))
        if step % 9 == 8:
            send("kill", 0, kill.kill, ann.account, [(chance.randint(1, 20), 2)], now)
        for what, by, future in flying:
            answer = future.result(DEADLINE)
            if what == "take":
                leases[by] += answer
            elif what == "end":
                ended += [end.jid for end in answer.moved]
        flying.clear()
    assert len(ended) == len(set(ended)) > 50
    ann.read(check_books)
