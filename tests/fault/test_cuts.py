"""The server goes at an awkward moment, and comes back: nothing is lost, and no job is blamed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cloud._session import Session
from cloud.job import Verbs
from picloud.engine import process
from picloud.wire.job import MAX_ATTEMPTS
from tests.conftest import Server, server_home, start_server, stop_server
from tests.gate import attempt_number, attempts, gate

PATIENCE = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture
def own() -> Iterator[Server]:
    """A server of the test's own, which gives running jobs no time when it stops."""
    home = server_home()
    (home / "settings.toml").write_text("drain = 0.0\n")
    server = start_server(home)
    try:
        yield server
    finally:
        stop_server(server)


@pytest.fixture
def verbs(own: Server) -> Iterator[Verbs]:
    session = Session(own.url, own.key, own.secret)
    yield Verbs(lambda: session)
    session.link.close()


def up(server: Server) -> None:
    """Start it again where its clients look for it."""
    server.pid = server.picloud("up", "--port", server.url.rsplit(":", 1)[1])["pid"]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def running(verbs: Verbs, jid: int) -> int:
    """Which attempt of a job runs; 0 = none."""
    return len(attempts(jid, verbs)) if verbs.status(jid) == "processing" else 0


@pytest.mark.parametrize(
    "killed", [pytest.param(False, marks=pytest.mark.full, id="server stopped"), pytest.param(True, id="server killed before")]
)
def test_stopping_the_server_again_and_again_fails_no_job(own: Server, verbs: Verbs, killed: bool) -> None:
    label, enough = gate(), MAX_ATTEMPTS + 1
    number = attempt_number("cloud", label)

    def patient() -> int:
        if number() < enough:
            time.sleep(600)
        return number()

    jid = verbs.call(patient, _label=label)
    for stops in range(1, enough):
        until(lambda count=stops: running(verbs, jid) == count)  # type: ignore[misc]
        if killed:
            os.kill(own.pid, signal.SIGKILL)
        own.picloud("down")
        assert not list(process.marked(process.of_home(own.home)))
        up(own)
    assert verbs.result(jid) == enough
    assert [one["cause"] for one in attempts(jid, verbs)] == ["worker_lost"] * MAX_ATTEMPTS + ["none"]


def test_a_server_killed_in_mid_map_gets_every_item_once(own: Server, verbs: Verbs) -> None:
    count = 6_000
    back = threading.Thread(target=up, args=(own,))

    def items() -> Iterator[int]:
        for item in range(count):
            if item == count // 2:
                os.kill(own.pid, signal.SIGKILL)
                back.start()
            yield item

    jids = list(verbs.map(lambda item: item + 1, items()))
    back.join()
    assert len(set(jids)) == count
    assert verbs.result(jids) == list(range(1, count + 1))


def test_everything_killed_at_once_loses_nothing(own: Server, verbs: Verbs) -> None:
    def work(item: int) -> int:
        time.sleep(0.01)
        return item

    jids = verbs.map(work, range(200))
    verbs.result(jids[0])
    for found in process.marked(process.of_home(own.home)):
        os.kill(found, signal.SIGKILL)
    until(lambda: not list(process.marked(process.of_home(own.home))))
    up(own)
    assert verbs.result(jids) == list(range(200))


def test_a_ticket_for_bytes_outlives_its_server(own: Server) -> None:
    session = Session(own.url, own.key, own.secret)
    content = bytes(range(256)) * 4096
    [ticket] = session.link.json("POST", "/v1/blob", {"sizes": [len(content)]})["blobs"]
    kept = own.home / "blob" / ticket["id"][:2] / ticket["id"]
    os.kill(own.pid, signal.SIGKILL)
    up(own)
    session.link.put(ticket["url"], [content])
    assert kept.read_bytes() == content
    own.picloud("restart")
    session.link.put(ticket["url"], [content])  # as a client does whose answer was lost
    assert kept.read_bytes() == content
    session.link.close()
