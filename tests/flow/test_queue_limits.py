"""What queues refuse, before anything is done."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cloud import queue
from cloud.queue import CloudQueue, Done
from picloud.wire.error import BadRequest
from tests.flow.test_queues import held

pytestmark = pytest.mark.usefixtures("no_queues")


@pytest.fixture
def q() -> CloudQueue:
    return queue.get("in")


@pytest.mark.parametrize("name", ["", "a" * 40, "a/b", "a b", "ü", "a\n", None, 5, b"in"])
def test_names_that_cannot_be(name: Any) -> None:
    for ask in (queue.get, queue.exists, CloudQueue):
        with pytest.raises(BadRequest, match="is no name of a queue"):
            ask(name)


def test_the_longest_name() -> None:
    q = queue.get("a-_9" * 9 + "end")
    q.push([1])
    assert len(q.name) == 39 and queue.list() == [q] and q.pop() == [1]


NAN = float("nan")
WRONG: dict[str, list[dict[str, Any]]] = {
    "push": [{"messages": m} for m in ("text", b"x", 5, None)]
    + [{"messages": [1], "delay": d} for d in (-1, 901, "5", None, True, NAN)]
    + [{"messages": [1, 2], "keys": k} for k in (["a"], ["a", "b", "c"], ["a", ""], ["a", "x" * 201], [1, 2], ["a", "\ud800"])],
    "pop": [{"max_count": n} for n in (0, 11, 1.5, "1", True, None)] + [{"timeout": t} for t in (-1, 21, "1", None, NAN)],
    "pop_tickets": [{"max_count": 0}, {"max_count": 11}, {"timeout": 20.1}] + [{"deadline": d} for d in (2, 43_201, 0, NAN, "5")],
    "exchange": [{"done": [], "max_count": n} for n in (-1, 11)] + [{"done": d} for d in ([1], [Done("in:1:1")] * 801)],
    "update_deadline": [{"message_tickets": [], "new_deadline": d} for d in (2, 43_201, "x")],
    "set_retention": [{"seconds": s} for s in (-1, 1e10, None)],
    "dead": [{"max_count": 0}, {"before": 0}],
    "replay": [{"letters": [0]}, {"letters": ["x"]}],
}


@pytest.mark.parametrize(("name", "wrong"), [(name, one) for name, some in WRONG.items() for one in some])
def test_what_cannot_be_is_refused_before_anything_is_done(q: CloudQueue, name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|takes|keys|a key is"):
        getattr(q, name)(**wrong)
    assert queue.list() == []


@pytest.mark.parametrize(
    "done",
    [
        {"end": "gone"},
        {"end": 0},
        {"delay": 901},
        {"outputs": ["out"]},
        {"outputs": [("out",)]},
        {"outputs": [("out", 1, -1)]},
        {"outputs": [("out", 1, 1, 1)]},
    ],
)
def test_ends_that_cannot_be(q: CloudQueue, done: dict[str, Any]) -> None:
    q.push([1])
    (ticket,) = q.pop_tickets()
    with pytest.raises(ValueError, match=r"ends as one of|delay must be|output 0 of end 0"):
        q.exchange([Done(ticket, **done)])
    with pytest.raises(BadRequest, match="no name of a queue"):
        q.exchange([Done(ticket, [("a/b", 1)])])
    assert held(q) == (0, 1, 0)


def test_a_message_that_cannot_be_pickled_is_named_and_nothing_of_its_request_stored(q: CloudQueue) -> None:
    with pytest.raises(pickle.PicklingError, match=r"message 1 -> \['lock'\] -> lock cannot be pickled"):
        q.push([1, {"lock": threading.Lock()}, 3])
    assert queue.list() == []
    with pytest.raises(pickle.PicklingError, match="message 801 -> lock"):
        q.push([*range(801), threading.Lock()])
    assert q.count() == 800, "those of the request before"
    (ticket,) = q.pop_tickets(1)
    with pytest.raises(pickle.PicklingError, match="output 1 of end 0 -> lock"):
        q.exchange([Done(ticket, [("out", 1), ("out", threading.Lock())])])
    assert not queue.exists("out")
    ticket.ack()


def test_an_iterable_that_raises_half_way(q: CloudQueue) -> None:
    def some() -> Iterator[int]:
        yield from range(1000)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        q.push(some())
    assert q.count() == 800
