from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from picloud.store import db as database
from picloud.store import sqlite
from picloud.store.db import Database, Few
from picloud.wire.error import NotFound, SetupError, StorageFull, Unavailable

DEADLINE = 10.0


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/picloud.sqlite")
    yield opened
    opened.close()


def put(tx: Connection, name: str) -> str:
    tx.execute(text("INSERT INTO counter VALUES (:name, 0)"), {"name": name})
    return name


def names(tx: Connection) -> list[str]:
    return [row.name for row in tx.execute(text("SELECT name FROM counter WHERE name NOT IN ('jid', 'body') ORDER BY name"))]


def grouped(db: Database, *acts: object) -> list[Future[object]]:
    """The acts as one group: they arrive while the writer is busy."""
    gate, busy = threading.Event(), threading.Event()

    def block(_: Connection) -> None:
        busy.set()
        assert gate.wait(DEADLINE)

    db.write(block)
    assert busy.wait(DEADLINE)
    futures = [db.write(act) for act in acts]  # type: ignore[arg-type]
    gate.set()
    return futures


def test_what_is_written_can_be_read(db: Database) -> None:
    assert db.write(put, "a").result(DEADLINE) == "a"
    assert db.write(put, "b", durable=False).result(DEADLINE) == "b"
    assert db.read(names).result(DEADLINE) == ["a", "b"]


def test_an_act_that_raises_is_alone_with_it(db: Database) -> None:
    runs: list[str] = []

    def good(tx: Connection) -> str:
        runs.append("good")
        return put(tx, f"g{len(runs)}")

    def bad(tx: Connection) -> None:
        put(tx, "half")
        raise NotFound("nothing there")

    def broken(tx: Connection) -> None:
        tx.execute(text("INSERT INTO nowhere VALUES (1)"))

    one, two, three, four = grouped(db, good, bad, broken, good)
    with pytest.raises(NotFound):
        two.result(DEADLINE)
    with pytest.raises(Unavailable, match="no such table"):
        three.result(DEADLINE)
    assert [one.result(DEADLINE), four.result(DEADLINE)] == db.read(names).result(DEADLINE)
    assert "half" not in db.read(names).result(DEADLINE)


def test_a_cancelled_act_does_not_run(db: Database) -> None:
    def cancel_second(tx: Connection) -> None:
        assert futures[1].cancel()

    gate = threading.Event()
    futures = [db.write(lambda tx: gate.wait(DEADLINE))]
    futures += [db.write(put, "never")]  # type: ignore[list-item]
    futures[1].cancel()
    gate.set()
    db.write(put, "after").result(DEADLINE)
    assert "after" in db.read(names).result(DEADLINE)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A disk whose fsyncs end only when this event is set."""
    spins = threading.Event()
    real = os.fdatasync

    def slow(handle: int) -> None:
        assert spins.wait(DEADLINE)
        real(handle)

    monkeypatch.setattr(os, "fdatasync", slow)
    return spins


@pytest.mark.parametrize("asked", [True, False])
def test_a_durable_answer_waits_for_the_disk_and_its_early_word_does_not(
    db: Database, disk: threading.Event, asked: bool
) -> None:
    def act(tx: Connection) -> str:
        if asked:
            database.must_last(tx)
        return put(tx, "kept")

    told = threading.Event()
    answer = db.write(act, durable=not asked, early=lambda name: told.set())
    assert told.wait(DEADLINE)
    assert db.read(names).result(DEADLINE) == ["kept"]
    assert not answer.done()
    disk.set()
    assert answer.result(DEADLINE) == "kept"


def test_what_need_not_last_does_not_wait_for_the_disk(db: Database, disk: threading.Event) -> None:
    waits = db.write(put, "durable")
    assert db.write(put, "light", durable=False).result(DEADLINE) == "light"
    assert not waits.done()
    disk.set()
    assert waits.result(DEADLINE) == "durable"


def test_a_disk_that_fails_is_told_to_everybody_who_waits(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(handle: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", broken)
        with pytest.raises(Unavailable, match="disk failed"):
            db.write(put, "x").result(DEADLINE)
    assert db.write(put, "y").result(DEADLINE) == "y"


def test_reading_cannot_write(db: Database) -> None:
    with pytest.raises(Unavailable, match="readonly"):
        db.read(put, "x").result(DEADLINE)


def test_a_full_disk_is_said_as_such(db: Database) -> None:
    def fill(tx: Connection) -> None:
        tx.exec_driver_sql("INSERT INTO counter VALUES (hex(zeroblob(20000000)), 1)")

    def limit(tx: Connection) -> None:
        tx.exec_driver_sql("PRAGMA max_page_count = 200")

    db.write(limit).result(DEADLINE)
    with pytest.raises(StorageFull):
        db.write(fill).result(DEADLINE)
    assert db.write(put, "small").result(DEADLINE) == "small"


def test_close_commits_what_waits_and_refuses_the_rest(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/picloud.sqlite"
    db = Database.open(url)
    futures = grouped(db, *[lambda tx, i=i: put(tx, f"n{i:03}") for i in range(300)])
    db.close()
    db.close()
    assert all(future.done() for future in futures)
    for refused in (db.write(put, "late"), db.read(names)):
        with pytest.raises(Unavailable):
            refused.result(DEADLINE)
    again = Database.open(url)
    assert len(again.read(names).result(DEADLINE)) == 300
    again.close()


def test_the_log_is_moved_into_the_file(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (tmp_path / "picloud.sqlite").stat().st_size
    until = threading.Event()
    for i in range(200):
        db.write(lambda tx, i=i: tx.exec_driver_sql(f"INSERT INTO counter VALUES ('{i}' || hex(randomblob(20000)), 1)")).result(
            DEADLINE
        )
        if (tmp_path / "picloud.sqlite").stat().st_size > before:
            until.set()
            break
        until.wait(0.01)
    assert until.is_set()


def test_a_lone_small_act_runs_in_the_callers_thread_and_a_crowd_in_the_writers(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def where(_: Connection) -> int:
        return threading.get_ident()

    db.write(put, "before").result(DEADLINE)
    monkeypatch.setattr(sqlite, "QUIET", 0.0)
    assert db.write_few("where", where).result(DEADLINE) == threading.get_ident()
    monkeypatch.setattr(sqlite, "QUIET", DEADLINE)
    assert db.write_few("where", where).result(DEADLINE) != threading.get_ident(), "the second within a moment has company"
    assert db.write(where).result(DEADLINE) != threading.get_ident()
    gate = threading.Event()
    busy = db.write(lambda tx: gate.wait(DEADLINE))
    crowd = db.write_few("where", where)
    gate.set()
    assert busy.result(DEADLINE)
    assert crowd.result(DEADLINE) != threading.get_ident()


def test_a_small_act_that_raises_leaves_nothing(db: Database) -> None:
    def fail(tx: Connection) -> None:
        put(tx, "half")
        raise NotFound("no")

    with pytest.raises(NotFound):
        db.write_few("fail", fail).result(DEADLINE)
    assert db.read(names).result(DEADLINE) == []


@pytest.mark.parametrize("url", ["nonsense", "/tmp/picloud.sqlite", "mysql://host/name", "postgresql+nosuch://host/name"])
def test_what_is_no_database_of_ours_is_one_clear_line(url: str) -> None:
    with pytest.raises(SetupError) as told:
        Database.open(url)
    assert "postgresql://" in str(told.value.hint)


def test_the_log_lies_there_from_the_start_and_what_is_behind_its_end_is_no_harm(tmp_path: Path) -> None:
    """A process that dies without closing leaves a log with zeros behind its frames; the next one reads up to them."""
    url, log = f"sqlite:///{tmp_path}/picloud.sqlite", tmp_path / "picloud.sqlite-wal"
    first = Database.open(url)
    assert log.stat().st_size >= sqlite.LOG_SIZE
    for number in range(20):
        first.write(put, f"row {number}").result(DEADLINE)
    assert log.stat().st_size == sqlite.LOG_SIZE
    copied = tmp_path / "crashed"
    copied.mkdir()
    for file in tmp_path.glob("picloud.sqlite*"):
        if not file.name.endswith("-shm"):
            (copied / file.name).write_bytes(file.read_bytes())
    first.close()
    second = Database.open(f"sqlite:///{copied}/picloud.sqlite")
    try:
        assert len(second.read(names).result(DEADLINE)) == 20
    finally:
        second.close()


def test_on_a_slow_disk_a_lone_act_does_not_hold_up_its_thread(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Event()
    real = os.fdatasync

    def slow(fd: int) -> None:
        synced.wait(DEADLINE)
        real(fd)

    assert db._one is not None
    db._one._sync_time = 1.0
    monkeypatch.setattr(os, "fdatasync", slow)
    told: list[str] = []
    answer = db.write_few("put", lambda tx: put(tx, "slow"), early=told.append)
    assert (told, answer.done()) == (["slow"], False)
    synced.set()
    assert answer.result(DEADLINE) == "slow"


def test_on_a_quick_disk_a_lone_act_is_on_disk_when_it_is_answered(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    real = os.fdatasync
    assert db._one is not None
    db._one._sync_time = 0.0
    monkeypatch.setattr(os, "fdatasync", lambda fd: (said.append("disk"), real(fd)))
    answer = db.write_few("put", lambda tx: put(tx, "quick"), early=lambda _: said.append("early"))
    assert (answer.done(), said) == (True, ["early", "disk"])


def test_acts_that_came_together_are_one_group(db: Database) -> None:
    def refused(_: Connection) -> None:
        raise NotFound("nothing")

    written = db.write_together([Few(lambda tx: put(tx, "a")), Few(refused), Few(lambda tx: put(tx, "b"), durable=False)])
    assert [written[0].result(DEADLINE), written[2].result(DEADLINE)] == ["a", "b"]
    with pytest.raises(NotFound):
        written[1].result(DEADLINE)
    assert db.look(names).result() == ["a", "b"]


def test_a_lone_act_is_on_disk_when_it_is_done(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fdatasync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (fdatasync(file), synced.append(file))[0])
    (written,) = db.write_together([Few(lambda tx: put(tx, "a"))])
    assert written.result(DEADLINE) == "a" and synced
    synced.clear()
    (written,) = db.write_together([Few(lambda tx: put(tx, "b"), durable=False)])
    assert written.result(DEADLINE) == "b" and not synced


def test_acts_queue_behind_those_that_wait(db: Database) -> None:
    gate = threading.Event()
    busy = db.write(lambda tx: gate.wait(DEADLINE))
    queued = db.write(lambda tx: put(tx, "a"))
    (written,) = db.write_together([Few(names)])
    assert not written.done()
    gate.set()
    assert busy.result(DEADLINE) and queued.result(DEADLINE) and written.result(DEADLINE) == ["a"]


def test_a_look_tells_what_is_wrong(db: Database) -> None:
    def missing(_: Connection) -> None:
        raise NotFound("nothing")

    with pytest.raises(NotFound):
        db.look(missing).result()
    with pytest.raises(Unavailable):
        db.look(lambda tx: tx.connection.dbapi_connection.execute("SELECT 1 FROM nowhere")).result()  # type: ignore[union-attr]
    assert db.look(names).result() == []
