"""Backups of a server at work, and what a server restored from one answers."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

import cloud
from cloud import environment
from picloud.wire.error import JobError
from tests.conftest import Server, picloud, server_home, start_server, stop_server

pytestmark = [pytest.mark.slow, pytest.mark.live]

BIG = 300_000
DEADLINE = 60.0


@pytest.fixture
def first() -> Iterator[Server]:
    """A server of its own, whose owner's client this process is."""
    home = server_home()
    (home / "settings.toml").write_text("drain = 1\n")
    yield from _served(home)


def _served(home: Path) -> Iterator[Server]:
    before = os.environ.get("PICLOUD_HOME")
    started = start_server(home)
    started.use()
    try:
        yield started
    finally:
        cloud.close()
        stop_server(started)
        if before is not None:
            os.environ["PICLOUD_HOME"] = before
        cloud.config._forget()


@pytest.fixture
def folder() -> Iterator[Path]:
    place = server_home()
    yield place
    shutil.rmtree(place)


@pytest.fixture
def empty() -> Iterator[Path]:
    place = server_home()
    yield place
    shutil.rmtree(place, ignore_errors=True)


def square(x: int) -> tuple[int, bytes]:
    return x * x, os.urandom(BIG) if x % 50 == 0 else b""


def waits_for(key: str) -> str:
    import time

    while not cloud.bucket.exists(key):
        time.sleep(0.05)
    return "at last"


def shout(word: str) -> None:
    cloud.queue.get("out").push([word.upper()])


MAKE = """#!/bin/bash
set -e
site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "VALUE = 'kept'" > "$site/only_there.py"
"""


def value() -> str:
    import only_there  # type: ignore[import-not-found]

    return str(only_there.VALUE)


def fill(script: Path) -> None:
    """An environment, queues in every state, objects, a volume."""
    script.write_text(MAKE)
    environment.create("kept")
    environment.run_script("kept", str(script))
    environment.save_shutdown("kept")
    letters = cloud.queue.get("letters")
    letters.push(["one", b"x" * BIG, {"three": 3}])
    letters.push(["bad"])
    tickets = letters.pop_tickets(4, deadline=3)  # the others are in hand when the backup is made
    letters.exchange([cloud.queue.Done(one, end="dead") for one in tickets if one.message == "bad"], 0)
    cloud.queue.get("in").attach(shout, max_parallel_jobs=1)
    cloud.bucket.putf(b"o" * BIG, "folder/object")
    cloud.volume.create("vol", "data")


def test_a_restored_backup_answers_old_results(first: Server, folder: Path, empty: Path, tmp_path: Path) -> None:
    fill(tmp_path / "make.sh")
    small, big, failed = cloud.call(lambda: 42), cloud.call(lambda: b"b" * BIG), cloud.call(lambda: 1 // 0)
    assert cloud.result([small, big], timeout=DEADLINE)[0] == 42
    with pytest.raises(JobError):
        cloud.result(failed, timeout=DEADLINE)
    in_env = cloud.call(value, _env="kept")
    assert cloud.result(in_env, timeout=DEADLINE) == "kept"
    begun = cloud.call(waits_for, "go")
    cloud.wait_for.status(begun, "processing", timeout=DEADLINE)
    told = first.picloud("backup", str(folder))
    assert told["missing"] == [] and told["blobs"] >= 3
    lost = cloud.call(lambda: "after the backup")
    assert cloud.result(lost, timeout=DEADLINE) == "after the backup"
    cloud.close()
    first.picloud("down")

    back = picloud(empty, "restore", str(folder))
    assert back["revoked"] >= 1 and back["after"] > lost
    second = start_server(empty)
    try:
        second.use()
        assert (second.key, second.secret) == (first.key, first.secret)
        assert cloud.result(small) == 42 and cloud.result(big) == b"b" * BIG
        with pytest.raises(JobError, match="ZeroDivisionError"):
            cloud.result(failed)
        with pytest.raises(cloud.CloudException, match="no job"):
            cloud.status(lost)
        queued = cloud.call(value, _env="kept")
        assert queued > back["after"]
        assert cloud.status([begun, queued]) == ["queued", "queued"]
        held = second.picloud("status")
        assert held["held"] and held["workers"] == []
        assert cloud.bucket.getf("folder/object").read() == b"o" * BIG
        assert [one["name"] for one in cloud.volume.get_list()] == ["vol"]
        letters = cloud.queue.get("letters")
        assert [one.message for one in letters.dead()] == ["bad"]
        came: list[Any] = []
        while len(came) < 3 and (more := letters.pop(10, timeout=20)):
            came += more
        assert sorted(map(str, came)) == sorted(map(str, ["one", b"x" * BIG, {"three": 3}]))
        cloud.queue.get("in").push(["word"])

        assert second.picloud("resume") == {"held": True} and second.picloud("resume") == {"held": False}
        assert cloud.result(queued, timeout=DEADLINE) == "kept"
        assert cloud.queue.get("out").pop(1, timeout=20) == ["WORD"]
        cloud.bucket.putf(b"now", "go")
        assert cloud.result(begun, timeout=DEADLINE) == "at last"
    finally:
        cloud.close()
        stop_server(second)


def named_blobs(home: Path) -> dict[str, int]:
    """What the database of a home says of larger values."""
    engine = create_engine(f"sqlite:///{home}/picloud.sqlite")
    with engine.connect() as tx:
        names = "SELECT blob FROM argument WHERE blob <> '' UNION SELECT blob FROM result WHERE blob <> ''"
        found = tx.execute(text(f"SELECT id, size FROM blob WHERE id IN ({names})"))
        sizes = {row.id: row.size for row in found}
    engine.dispose()
    return sizes


def test_backups_of_a_server_at_work_are_consistent(first: Server, folder: Path, empty: Path) -> None:
    """Jobs run and end all the time; every backup holds, for each job that is done in it, its result, larger ones too."""
    stop, jids = threading.Event(), list[int]()

    def work() -> None:
        while not stop.is_set():
            made = list(cloud.map(square, range(100)))
            jids.extend(made)
            cloud.join(made, timeout=DEADLINE)

    cloud.result(cloud.call(square, 1), timeout=DEADLINE)
    working = threading.Thread(target=work)
    working.start()
    try:
        names = []
        for _ in range(2):
            before = len(jids)
            names.append(first.picloud("backup", str(folder))["name"])
            _until(lambda before=before: len(jids) >= before + 100)  # type: ignore[misc]
        os.kill(first.pid, signal.SIGKILL)  # a dead server's installation is copied as well
        names.append(first.picloud("backup", str(folder), "--keep", "4")["name"])
    finally:
        stop.set()
        first.picloud("up")
        working.join()
    cloud.close()
    for name in names:
        shutil.rmtree(empty, ignore_errors=True)
        told = picloud(empty, "restore", str(folder), "--from", name)
        assert told["missing"] == []
        found = {file.name: file.stat().st_size for file in (empty / "blob").glob("??/*")}
        named = named_blobs(empty)
        assert found.items() >= named.items()
    assert named
    second = start_server(empty)
    try:
        second.use()
        numbers = dict(zip(jids, [x % 100 for x in range(len(jids))], strict=True))
        listed = {one["jid"] for one in second.picloud("jobs", "--state", "done", "--limit", "1000000")}
        done = [jid for jid in jids if jid in listed]
        assert len(done) >= 200
        for jid, answer in zip(done, cloud.result(done), strict=True):
            assert answer[0] == numbers[jid] ** 2 and len(answer[1]) == (BIG if numbers[jid] % 50 == 0 else 0)
    finally:
        cloud.close()
        stop_server(second)


def _until(condition: Any) -> None:
    import time

    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_job_of_the_owner_is_not_the_operator(first: Server) -> None:
    def ask() -> str:
        from cloud import _session

        try:
            return str(_session.session().link.json("POST", "/v1/operator/resume", {}))
        except cloud.CloudException as error:
            return error.code

    assert first.picloud("resume") == {"held": False}
    assert cloud.result(cloud.call(ask), timeout=DEADLINE) == "forbidden"
