"""Programs that call and wait talk over a line; whatever becomes of it, they notice nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

import cloud
from cloud import _line
from cloud._session import Session
from cloud.job import Verbs
from picloud.wire.error import CloudTimeoutError, JobError, NotFound
from picloud.wire.link import Link
from tests.conftest import Server, server_home, start_server, stop_server

pytestmark = [pytest.mark.live]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are asked for by HTTP."""
    asked: list[str] = []
    real = Link._send

    def send(self: Link, origin: object, connection: object, request: object) -> None:
        asked.append(request.path)  # type: ignore[attr-defined]
        real(self, origin, connection, request)  # type: ignore[arg-type]

    monkeypatch.setattr(Link, "_send", send)
    return asked


@pytest.fixture
def session(server: Server) -> Iterator[Session]:
    made = Session(server.url, server.key, server.secret)
    yield made
    made.close()


@pytest.fixture
def verbs(session: Session) -> Verbs:
    return Verbs(lambda: session)


def open_line(verbs: Verbs) -> None:
    for number in range(_line.OFTEN + 1):
        assert verbs.result(verbs.call(lambda x: x * 2, number)) == number * 2


def same(x: object) -> object:
    return x


def test_after_a_few_calls_nothing_more_is_asked_by_http(verbs: Verbs, requests: list[str]) -> None:
    open_line(verbs)
    assert verbs.result(verbs.call(same, 0)) == 0
    requests.clear()
    assert [verbs.result(verbs.call(same, number)) for number in range(20)] == list(range(20))
    assert requests == []


def test_values_errors_and_ends_of_every_kind_come_by_the_line(verbs: Verbs, requests: list[str]) -> None:
    def divide(x: int) -> float:
        return 1 / x

    for function, argument in ((same, 0), (divide, 1), (time.sleep, 0)):  # code goes by HTTP, once
        verbs.result(verbs.call(function, argument))
    open_line(verbs)
    requests.clear()
    large = os.urandom(300_000)
    assert verbs.result(verbs.call(same, large)) == large
    with pytest.raises(JobError) as failed:
        verbs.result(verbs.call(divide, 0))
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert not {"/v1/submission", "/v1/result"} & set(requests)
    sleeper = verbs.call(time.sleep, 60)
    verbs.kill(sleeper)
    with pytest.raises(JobError, match="killed"):
        verbs.result(sleeper)


def test_a_refused_call_is_refused_and_the_line_goes_on(verbs: Verbs, session: Session, requests: list[str]) -> None:
    open_line(verbs)
    verbs.result(verbs.call(same, 0))
    with pytest.raises(NotFound):
        verbs.call(same, 1, _depends_on=[10**15])
    requests.clear()
    assert verbs.result(verbs.call(same, 2)) == 2
    assert requests == []


def test_time_that_is_up_is_told_and_the_result_is_still_there(verbs: Verbs) -> None:
    open_line(verbs)
    jid = verbs.call(lambda: time.sleep(1.5) or "late")
    with pytest.raises(CloudTimeoutError):
        verbs.result(jid, timeout=0.3)
    assert verbs.result(jid) == "late"
    open_line(verbs)


def test_calls_whose_ends_nobody_asks_for_close_the_line(verbs: Verbs, session: Session) -> None:
    open_line(verbs)
    jids = [verbs.call(same, number) for number in range(_line.MOST + 10)]
    assert session._local.line._connection is None
    assert verbs.result(jids) == list(range(_line.MOST + 10))


def test_each_thread_has_a_line_of_its_own(verbs: Verbs, session: Session) -> None:
    wrong: list[object] = []

    def work(base: int) -> None:
        for number in range(base, base + 40):
            if verbs.result(verbs.call(same, number)) != number:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(base,)) for base in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    jid = verbs.call(same, "elsewhere")
    other: list[object] = []
    thread = threading.Thread(target=lambda: other.append(verbs.result(jid)))
    thread.start()
    thread.join(60)
    assert other == ["elsewhere"], "a result may be asked for in another thread"


def test_a_forked_child_leaves_the_line_to_its_parent(verbs: Verbs) -> None:
    open_line(verbs)
    jid = verbs.call(lambda: time.sleep(0.5) or "parent's")
    child = os.fork()
    if child == 0:
        fine = verbs.result(jid) == "parent's" and verbs.result(verbs.call(same, 5)) == 5
        os._exit(0 if fine else 1)
    assert verbs.result(jid) == "parent's"
    assert os.waitpid(child, 0)[1] == 0
    assert verbs.result(verbs.call(same, 6)) == 6


def test_a_closed_session_opens_again(verbs: Verbs, session: Session) -> None:
    open_line(verbs)
    jid = verbs.call(same, "before")
    assert session.close()
    assert verbs.result(jid) == "before"
    open_line(verbs)


@pytest.mark.full
@pytest.mark.slow
def test_a_server_that_goes_and_comes_back_is_not_noticed() -> None:
    """Calls go on over SIGKILL and restarts of the server, each one a single job."""
    server = start_server(server_home())
    session = Session(server.url, server.key, server.secret)
    verbs, ended = Verbs(lambda: session), threading.Event()
    results: list[object] = []

    def work() -> None:
        while not ended.is_set():
            results.append((len(results), verbs.result(verbs.call(same, len(results)))))

    thread = threading.Thread(target=work)
    try:
        open_line(verbs)
        before = verbs.call(same, None)
        thread.start()
        for kill in (signal.SIGKILL, None, signal.SIGKILL):
            reached = len(results) + 30
            deadline = time.monotonic() + 60
            while len(results) < reached:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            if kill is None:
                server.pid = server.picloud("restart")["pid"]
            else:
                os.kill(server.pid, kill)
                server.pid = server.picloud("up")["pid"]
        ended.set()
        thread.join(60)
        assert not thread.is_alive()
        assert [a for a, _ in results] == [b for _, b in results]
        made = [row["jid"] for row in verbs.jobs(limit=10_000) if row["jid"] > before]
        assert len(made) == len(results), "no call became two jobs"
    finally:
        ended.set()
        session.close()
        stop_server(server)
        cloud.close()
