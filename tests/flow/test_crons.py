"""Crons on a real server: its clock, its death, its commands."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

import cloud
from picloud.wire.error import BadRequest, NotFound
from tests.conftest import PICLOUD, Server, serving

pytestmark = [pytest.mark.slow, pytest.mark.live]
RARELY = "0 0 29 2 *"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One that this module may kill."""
    with serving() as started:
        yield started


@pytest.fixture
def label(server: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """A label of one test; its cron goes behind it."""
    made = request.node.name[5:90].replace("[", "-").replace("]", "-")
    yield made
    if made in cloud.cron.list():
        cloud.cron.deregister(made)


def until(condition: Callable[[], Any], seconds: float = 40) -> Any:
    """The first true value; fails when the time is up."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def put_due(server: Server, label: str, seconds_ago: float) -> int:
    """Have a time of a cron come so long ago, in epoch ms; the server looks at its clocks when any cron changes."""
    due = round((time.time() - seconds_ago) * 1000)
    with sqlite3.connect(server.home / "picloud.sqlite", timeout=20) as tx:
        tx.execute("UPDATE cron SET due = ? WHERE call = (SELECT id FROM call WHERE label = ?)", (due, label))
    tx.close()
    return due


def nudge() -> None:
    cloud.cron.register(int, "nudge", RARELY)
    cloud.cron.deregister("nudge")


def test_a_function_runs_at_its_time(server: Server, label: str) -> None:
    """The clock of a cron that is about to come, without waiting for a full minute."""
    word = os.urandom(4).hex()
    cloud.cron.register(lambda: word, label, RARELY, _priority=2)
    due = put_due(server, label, -1.5)
    nudge()
    (run,) = until(lambda: cloud.cron.runs(label))
    assert (run["why"], run["trouble"]) == ("time", "")
    assert run["time"] == datetime.fromtimestamp(due / 1000, UTC)
    assert 0 <= (run["made"] - run["time"]).total_seconds() < 1
    assert cloud.result(run["jid"]) == word
    told = cloud.cron.info(label)
    assert (told["last_jid"], told["last_run"]) == (run["jid"], run["time"])
    assert told["next_run"].month == 2 and told["next_run"].day == 29
    assert cloud.info(run["jid"], ["label", "attributes"])[run["jid"]]["label"] == label
    assert cloud.cron.runs(label)[0]["status"] == "done"


def test_a_killed_server_runs_a_time_once(server: Server, label: str) -> None:
    cloud.cron.register(os.getpid, label, RARELY)
    due = put_due(server, label, -1.0)
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: time.time() * 1000 > due)
    server.pid = server.picloud("up")["pid"]
    (run,) = until(lambda: cloud.cron.runs(label))
    assert run["why"] == "time" and cloud.result(run["jid"]) > 0
    os.kill(server.pid, signal.SIGKILL)
    server.pid = server.picloud("up")["pid"]
    cloud.result(cloud.cron.manual_run(label))
    assert [one["why"] for one in cloud.cron.runs(label)] == ["hand", "time"]


@pytest.mark.parametrize(("missed", "whys"), [("skip", ["downtime"]), ("once", ["missed"])])
def test_times_without_a_server(server: Server, label: str, missed: str, whys: list[str]) -> None:
    cloud.cron.register(dict, label, RARELY, missed=missed)
    put_due(server, label, 3600)
    nudge()
    runs = until(lambda: cloud.cron.runs(label))
    assert [run["why"] for run in runs] == whys
    assert [run["jid"] is None for run in runs] == [missed == "skip"]


def test_a_cron_whose_environment_is_gone_tells_so_and_holds_up_nobody(server: Server, label: str) -> None:
    cloud.volume.create("lost", "lost")
    cloud.cron.register(dict, label, RARELY, _vol="lost")
    cloud.cron.register(dict, "neighbour", RARELY)
    cloud.volume.delete("lost")
    put_due(server, label, 1)
    put_due(server, "neighbour", 1)
    nudge()
    (run,) = until(lambda: cloud.cron.runs("neighbour"))
    assert cloud.result(run["jid"]) == {}
    (run,) = until(lambda: cloud.cron.runs(label))
    assert run["why"] == "failed" and "lost" in run["trouble"] and run["jid"] is None
    cloud.cron.deregister("neighbour")


def test_overlapping_runs_may_be_skipped(server: Server, label: str) -> None:
    cloud.cron.register(signal.pause, label, RARELY, overlap="skip")
    assert cloud.cron.info(label)["last_status"] is None
    jid = cloud.cron.manual_run(label)
    put_due(server, label, 1)
    nudge()
    until(lambda: len(cloud.cron.runs(label)) == 2)
    assert cloud.cron.runs(label)[0]["why"] == "overlap"
    assert cloud.cron.info(label)["last_status"] in ("queued", "processing")
    cloud.kill(jid)
    until(lambda: cloud.cron.info(label)["last_status"] == "killed")


def test_a_job_may_register_a_cron(server: Server, label: str) -> None:
    def inside(label: str) -> int:
        import cloud

        cloud.cron.register(lambda: 42, label, "@yearly")
        return int(cloud.cron.manual_run(label))

    assert cloud.result(cloud.result(cloud.call(inside, label))) == 42


def test_what_cannot_be_is_refused_before_anything_is_stored(server: Server, label: str) -> None:
    for refused, why, act in [
        (ValueError, "needs arguments", lambda: cloud.cron.register(lambda x: x, label, "@daily")),
        (ValueError, "the hour field", lambda: cloud.cron.register(dict, label, "0 24 * * *")),
        (ValueError, "no time zone", lambda: cloud.cron.register(dict, label, "@daily", timezone="Mars")),
        (ValueError, "'skip' or 'once'", lambda: cloud.cron.register(dict, label, "@daily", missed="all")),
        (TypeError, "runs a function", lambda: cloud.cron.register(5, label, "@daily")),  # type: ignore[arg-type]
        (TypeError, "_depends_on", lambda: cloud.cron.register(dict, label, "@daily", _depends_on=1)),
        (BadRequest, "no label", lambda: cloud.cron.register(dict, "../" + label, "@daily")),
        (BadRequest, "no label", lambda: cloud.cron.register(dict, "", "@daily")),
        (NotFound, "no environment", lambda: cloud.cron.register(dict, label, "@daily", _env="nowhere")),
        (NotFound, "no cron", lambda: cloud.cron.manual_run(label)),
        (NotFound, "no cron", lambda: cloud.cron.info(label)),
        (NotFound, "no cron", lambda: cloud.cron.deregister(label)),
    ]:
        with pytest.raises(refused, match=why):
            act()  # type: ignore[no-untyped-call]
    assert label not in cloud.cron.list()


def test_the_server_checks_for_itself(server: Server) -> None:
    """As a client of another make would ask."""
    import msgspec

    from picloud.wire.call import Clock, Register
    from tests.contract.store.storekeeper import submission

    link = cloud._session.session().link

    def post(**changes: Any) -> Any:
        asked = Register("odd", submission(1), clock=Clock("@daily"))
        return link.request("POST", "/v1/cron", msgspec.msgpack.encode(msgspec.structs.replace(asked, **changes)))

    for changes, why in [
        ({"clock": None}, "has a schedule"),
        ({"clock": Clock("61 * * * *")}, "the minute field"),
        ({"clock": Clock("@daily", "Nowhere/City")}, "no time zone"),
        ({"clock": Clock("@daily", missed=7)}, "no such policies"),
        ({"label": "a/b"}, "no label"),
        ({"label": "a\r\nX: y"}, "no label"),
        ({"description": "x" * 20_000}, "at most"),
        ({"submit": submission(2)}, "without arguments"),
    ]:
        with pytest.raises(BadRequest, match=why):
            post(**changes)
    assert "odd" not in cloud.cron.list()


def test_programs_by_commands(server: Server, label: str) -> None:
    def picloud(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PICLOUD_HOME": str(server.home)}
        return subprocess.run([*PICLOUD, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert picloud("cron", "register", "-z", "Asia/Tokyo", label, "30 2 * * mon", "echo", "-n", "hello there").returncode == 0
    assert label in picloud("cron", "list").stdout.split()
    head, row = picloud("cron", "info", label).stdout.splitlines()
    assert head.split()[:3] == ["label", "schedule", "timezone"] and "Asia/Tokyo" in row and " echo" in row
    jid = picloud("cron", "run", label).stdout.strip()
    assert picloud("result", jid).stdout == "hello there"
    assert "hand" in picloud("cron", "runs", label).stdout
    assert server.picloud("cron", "info", label)["schedule"] == "30 2 * * mon"
    wrong = picloud("cron", "register", label, "30 25 * * *", "true")
    assert wrong.returncode == 2 and "the hour field" in wrong.stderr
    wrong = picloud("cron", "register", label, "30 2 * * *", "cat {file}")
    assert wrong.returncode == 2 and "{file}" in wrong.stderr
    assert picloud("cron", "deregister", label).returncode == 0
    gone = picloud("cron", "info", label)
    assert gone.returncode == 3 and "no cron" in gone.stderr
