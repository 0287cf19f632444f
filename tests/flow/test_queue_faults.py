"""Queues when something goes: answers, readers, classes, the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import queue
from cloud.queue import CloudQueue, Done
from picloud.wire.error import CloudException, Conflict
from tests.conftest import Server, server_home, start_server, stop_server
from tests.flow.lossy import Lossy


@pytest.fixture
def q(no_queues: None) -> CloudQueue:
    return queue.get("in")


@pytest.fixture
def lossy(server: Any, q: CloudQueue) -> Iterator[Lossy]:
    """The client reaches the server by a way on which answers get lost."""
    made = Lossy(server.url)
    cloud.setkey(server.key, server.secret, made.url)
    try:
        yield made
    finally:
        server.use()
        made.close()


# -- lost answers -----------------------------------------------------------------------------------------------------------


def test_a_push_whose_answer_is_lost_is_one_push(q: CloudQueue, lossy: Lossy) -> None:
    assert q.count() == 0
    lossy.lose = 1
    q.push(range(5), keys=map(str, range(5)))
    assert lossy.lost == 1 and sorted(q.pop()) == [*range(5)]
    lossy.lose = 2
    q.push(["a"])
    assert lossy.lost == 3 and q.pop(timeout=0) == ["a"] and q.pop(timeout=0) == []


def test_a_pop_whose_answer_is_lost_gives_the_same(q: CloudQueue, lossy: Lossy) -> None:
    q.push(range(20))
    lossy.lose = 2
    found = q.pop()
    assert lossy.lost == 2 and q.count() == 10
    assert sorted(found + q.pop()) == [*range(20)] and q.pop(timeout=0) == []


def test_an_exchange_whose_answer_is_lost_holds_once(q: CloudQueue, lossy: Lossy) -> None:
    q.push(["a", "b", "c"])
    tickets = q.pop_tickets(2)
    tickets[1].ack()
    lossy.lose = 2
    found = q.exchange([Done(tickets[0], [("out", "came of a")]), Done(tickets[1], [("out", "never")])], 5, 0)
    assert lossy.lost == 2 and found.applied == [True, False] and [one.message for one in found.tickets] == ["c"]
    assert queue.get("out").pop() == ["came of a"] and queue.get("out").count() == 0
    lossy.lose = 1
    found.tickets[0].ack()
    with pytest.raises(Conflict):
        found.tickets[0].ack()


# -- readers that go --------------------------------------------------------------------------------------------------------


def _interrupt(name: str) -> str:
    """What a message is made of here: Ctrl-C comes while it is being made, once."""
    if name not in _interrupted:
        _interrupted.add(name)
        raise KeyboardInterrupt
    return name


_interrupted: set[str] = set()


class Awkward:
    def __reduce__(self) -> tuple[Any, ...]:
        return _interrupt, ("awkward",)


def test_a_pop_that_is_interrupted_gives_its_messages_to_the_next(q: CloudQueue) -> None:
    _interrupted.clear()
    q.push(["a", Awkward(), "b"])
    with pytest.raises(KeyboardInterrupt):
        q.pop()
    assert q.count() == 0
    q.push(["c"])
    assert q.pop(2, 0) == ["c"], "it asked for fewer than the one that was interrupted"
    assert q.pop(timeout=0) == ["a", "awkward", "b"] and q.pop(timeout=0) == []


def test_an_interrupted_pop_of_a_queue_that_was_deleted_meanwhile(q: CloudQueue) -> None:
    _interrupted.clear()
    q.push([Awkward()])
    with pytest.raises(KeyboardInterrupt):
        q.pop()
    q.delete()
    q.push(["new"])
    assert q.pop(timeout=0) == ["new"]


KILLED = """
import sys, time, cloud
tickets = cloud.queue.get("in").pop_tickets(deadline=3)
print(sorted(one.message for one in tickets), flush=True)
time.sleep(600)
"""


def test_what_a_killed_reader_had_comes_back(q: CloudQueue) -> None:
    q.push([1, 2, 3])
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None and reader.stdout.readline() == "[1, 2, 3]\n"
        reader.kill()
    assert q.info()["in_hand"] == 3 or q.count() == 3
    assert sorted(one.message for one in q.pop_tickets()) == [1, 2, 3]


GONE = "import cloud; cloud.queue.get('in').pop()"


def test_who_leaves_while_waiting_takes_nothing_along(q: CloudQueue) -> None:
    with subprocess.Popen([sys.executable, "-c", GONE], stdout=subprocess.PIPE) as reader:
        while not queue.exists("in"):  # its wait has made it
            assert reader.poll() is None
        reader.kill()
        reader.wait(30)
    q.push(["a"])
    assert q.pop() == ["a"]


# -- messages that cannot be loaded -----------------------------------------------------------------------------------------

STRANGE = """
import sys, cloud
sys.path.insert(0, sys.argv[1])
import strange
cloud.queue.get("in").push([strange.Strange(n) for n in range(3)])
"""


@pytest.fixture
def strangers(q: CloudQueue, tmp_path: Path) -> Iterator[Path]:
    """Three messages of a class that is not there; the folder where it is."""
    (tmp_path / "strange.py").write_text("import dataclasses\n@dataclasses.dataclass\nclass Strange:\n    n: int\n")
    subprocess.run([sys.executable, "-c", STRANGE, str(tmp_path)], timeout=60, check=True)
    yield tmp_path
    sys.modules.pop("strange", None)


@pytest.mark.parametrize("ask", ["pop", "pop_tickets"])
def test_what_cannot_be_loaded_is_set_aside_and_never_dropped(
    q: CloudQueue, strangers: Path, ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    q.push(["fine"], delay=1)
    with pytest.warns(
        RuntimeWarning, match="cannot be loaded here: ModuleNotFoundError.* it is a dead letter of queue in"
    ) as told:
        found = getattr(q, ask)()
    assert len(told) == 3 and {one.filename for one in told} == {__file__}
    assert [getattr(one, "message", one) for one in found] == ["fine"], "it waits on for what can be loaded"
    letters = q.dead()
    assert [one.cause for one in letters] == ["cannot_load"] * 3 and letters[0].exception is None
    with pytest.raises(CloudException, match="No module named 'strange'"):
        assert letters[0].message
    monkeypatch.syspath_prepend(strangers)
    assert sorted(one.message.n for one in letters) == [0, 1, 2]
    assert q.replay() == 3 and sorted(one.n for one in q.pop()) == [0, 1, 2]


# -- the server -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(server: Any) -> Iterator[Server]:
    """A server of the test's own."""
    made = start_server(server_home())
    made.use()
    try:
        yield made
    finally:
        server.use()
        stop_server(made)


def up(server: Server) -> None:
    """Start it again where its clients look for it."""
    server.pid = server.picloud("up", "--port", server.url.rsplit(":", 1)[1])["pid"]


@pytest.mark.slow
def test_the_server_is_killed_between_and_meanwhile(own: Server) -> None:
    q, heard = queue.get("in"), list[Any]()
    large = os.urandom(200_000)
    q.push([1, (2,), large])
    (ticket,) = q.pop_tickets(1, deadline=600)
    os.kill(own.pid, signal.SIGKILL)
    up(own)
    assert q.pop() == [(2,), large]
    ticket.ack()
    waiting = threading.Thread(target=lambda: heard.extend(queue.get("late").pop()))
    waiting.start()
    while not queue.exists("late"):
        assert waiting.is_alive()
    os.kill(own.pid, signal.SIGKILL)
    up(own)
    queue.get("late").push(["after"])
    waiting.join(60)
    assert heard == ["after"] and q.info()["count"] == q.info()["in_hand"] == 0


def test_a_reader_that_dies_before_it_looks_at_what_it_was_given(q: CloudQueue) -> None:
    def handler(message: Any) -> Any:
        from cloud import _queues

        if message == "arm":
            real = _queues.exchange

            def deadly(*asked: Any) -> Any:
                answer = real(*asked)
                if answer.messages:
                    os.kill(os.getpid(), signal.SIGKILL)
                return answer

            _queues.exchange = deadly
        return message

    out = queue.get("out")
    q.attach(handler, out)
    q.push(["arm"])
    assert out.pop(timeout=20) == ["arm"]
    q.push(["a", "b"])
    found = out.pop(timeout=15)
    assert sorted(found + (out.pop(timeout=15) if len(found) < 2 else [])) == ["a", "b"]
