"""Queues over a real server: every function, from a client, from jobs, from another account."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import cloud
from cloud import _pushing, queue
from cloud.queue import CloudQueue, Done
from picloud.wire.error import Conflict, NotFound

pytestmark = pytest.mark.usefixtures("no_queues")


@pytest.fixture
def q(server: Any) -> CloudQueue:
    server.use()
    return queue.get("in")


def held(q: CloudQueue) -> tuple[int, int, int]:
    """Messages that wait, that are in hand, and dead letters."""
    found = q.info()
    return found["count"], found["in_hand"], found["dead"]


def drained(q: CloudQueue) -> list[Any]:
    found = []
    while some := q.pop(timeout=0):
        found += some
    return found


# -- in and out -------------------------------------------------------------------------------------------------------------


def test_nothing_is_there_before_the_first_use(q: CloudQueue) -> None:
    assert not queue.exists("in") and queue.list() == [] and q.count() == 0 and not q.delete()
    for ask in (q.info, q.purge, q.dead, q.replay, q.bury):
        with pytest.raises(NotFound, match="no queue 'in'"):
            ask()
    assert queue.list() == []
    assert q.push([1]) is True
    assert queue.list() == [q] and queue.exists("in") and q.count() == 1
    assert q.delete() is True and queue.list() == [] and q.count() == 0


def test_messages_keep_their_types(q: CloudQueue) -> None:
    class Local:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Local)

        __hash__ = None  # type: ignore[assignment]

    given = [1, "Ünïcode \U0001f600 \0 \ud800", None, (1, (2,)), {1: {"a": b"x"}}, 1.5, True, Local(), "", [], 10**30]
    q.push(given)
    found = q.pop(timeout=0) + q.pop(timeout=0)
    assert [(type(one), one) for one in found] == [(type(one), one) for one in given]
    assert q.pop(timeout=0) == [] and held(q) == (0, 0, 0)


def test_any_iterable_in_as_many_requests_as_it_needs(q: CloudQueue) -> None:
    q.push(range(1700))
    q.push(n for n in range(1700, 1705))
    q.push({"a": 1})
    q.push([])
    assert q.count() == 1706
    assert sorted(map(str, drained(q))) == sorted([*map(str, range(1705)), "a"])


def test_what_has_come_of_a_slow_iterable_is_sent_before_it_ends(q: CloudQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pushing, "PACE", -1)  # every time span is too long
    seen = []

    def slow() -> Iterator[int]:
        for n in range(5):
            seen.append(q.count())
            yield n

    q.push(slow())
    assert seen[:2] == [0, 0] and seen[3] >= 1 and seen[4] >= 2 and sorted(q.pop()) == [*range(5)]


@pytest.mark.slow
def test_large_messages_travel_as_blobs(q: CloudQueue, server: Any) -> None:
    large = [b"%d" % n * 50_000 for n in range(10, 30)]
    huge = bytes(100_000_000)
    q.push([*large, huge])
    found = drained(q)
    assert found[:-1] == large and found[-1] == huge
    q.push([huge])
    (ticket,) = q.pop_tickets(deadline=60)
    q.exchange([Done(ticket, [("a", large[0]), ("b", huge), ("c", huge)])], 0)
    for name in ("b", "c"):
        (one,) = queue.get(name).pop(timeout=0)
        assert one == huge


def test_delayed_ones_come_after_their_delay(q: CloudQueue) -> None:
    q.push(["late"], delay=1)
    assert q.pop(timeout=0) == [] and (q.count(), q.info()["delayed"], q.info()["oldest"]) == (1, 1, None)
    q.push(["soon"])
    assert q.pop() == ["soon"]
    assert q.pop() == ["late"]


def test_a_key_is_pushed_once(q: CloudQueue) -> None:
    q.push(["a", "b", "a2"], keys=["1", "2", "1"])
    q.push(["b2", "c"], keys=iter(["2", "3"]))
    q.push([{"id": 3}, {"id": 4}], keys=lambda one: str(one["id"]))
    assert drained(q) == ["a", "b", "c", {"id": 4}]
    q.push(["a"], keys=["1"])
    assert q.count() == 0, "also when it was popped"
    queue.get("other").push(["a"], keys=["1"])
    assert queue.get("other").count() == 1, "keys belong to their queue"


def test_who_waits_is_woken_by_a_push(q: CloudQueue) -> None:
    """In the order of events: another message is due only later, and the waits end when both have come."""
    late, heard = queue.get("late"), []
    late.push(["late"], delay=4)

    def wait(one: CloudQueue) -> None:
        heard.extend(one.pop())

    waiting = [threading.Thread(target=wait, args=(one,)) for one in (late, q)]
    for thread in waiting:
        thread.start()
    while not queue.exists("in"):  # the wait makes it
        assert waiting[1].is_alive()
    q.push(["now"])
    for thread in waiting:
        thread.join(30)
    assert heard == ["now", "late"]


def test_two_at_once_get_different_messages(q: CloudQueue) -> None:
    q.push(range(500))
    found: list[list[int]] = [[], [], []]
    readers = [threading.Thread(target=lambda mine=mine: mine.extend(drained(queue.get("in")))) for mine in found]  # type: ignore[misc]
    for one in readers:
        one.start()
    for one in readers:
        one.join(60)
    assert sorted(n for some in found for n in some) == [*range(500)]


# -- tickets ----------------------------------------------------------------------------------------------------------------


def test_a_ticket_and_its_end(q: CloudQueue) -> None:
    q.push(["a", "b", "c"])
    before = datetime.now(UTC)
    first, second, third = q.pop_tickets(deadline=100)
    assert (first.message, first.queue, first.redirect_key, first.retries) == ("a", q, None, 0)
    assert 0 < first.time_until_deadline() <= 100 and timedelta(0) <= first.deadline - before - timedelta(seconds=100)
    assert len({one.id for one in (first, second, third)}) == 3 and held(q) == (0, 3, 0)
    first.ack()
    q.ack(second.ticket)
    third.update_deadline(500)
    assert third.time_until_deadline() > 100
    q.update_deadline([third.ticket], 40)
    q.ack(iter([third]))
    assert held(q) == (0, 0, 0)


def test_what_is_not_acknowledged_in_time_comes_back(q: CloudQueue) -> None:
    q.push(["a"])
    (first,) = q.pop_tickets(deadline=3)
    (second,) = q.pop_tickets(deadline=100)  # waits for that
    assert (second.message, second.id) == ("a", first.id) and second.ticket != first.ticket
    for stale in (first.ack, lambda: first.update_deadline(10)):
        with pytest.raises(Conflict, match="not current"):
            stale()
    second.ack()
    with pytest.raises(Conflict):
        second.ack()


def test_an_update_moves_the_deadline(q: CloudQueue) -> None:
    q.push(["a"])
    (ticket,) = q.pop_tickets(deadline=100)
    ticket.update_deadline(3)
    assert [again.message for again in q.pop_tickets()] == ["a"]


def test_stale_tickets_harm_only_themselves(q: CloudQueue) -> None:
    q.push(range(1000))
    tickets = [one for _ in range(100) for one in q.pop_tickets(timeout=0, deadline=600)]
    q.ack(tickets[:3])
    with pytest.raises(Conflict, match=r"3 of 1000 tickets of queue in are not current: in:.*; the other 997 were") as caught:
        q.ack(tickets + tickets[-1:])
    assert caught.value.facts["tickets"] == [one.ticket for one in tickets[:3]]
    assert held(q) == (0, 0, 0)


def test_tickets_of_other_queues_are_refused(q: CloudQueue) -> None:
    other = queue.get("other")
    q.push([1])
    other.push([1])
    tickets = q.pop_tickets() + other.pop_tickets()
    for wrong in (tickets, tickets[1], tickets[1].ticket, "in:1", "junk", 5, [None], "in:1:2:3"):
        with pytest.raises(ValueError, match="ticket"):
            q.ack(wrong)
        with pytest.raises(ValueError, match="ticket"):
            q.update_deadline(wrong, 10)
    assert held(q) == held(other) == (0, 1, 0), "nothing was acknowledged"


def test_an_exchange_ends_and_takes_in_one(q: CloudQueue) -> None:
    out = queue.get("out")
    q.push(range(7))
    tickets = q.pop_tickets(5)
    tickets[1].ack()
    done = [
        Done(tickets[0], [(out, "x"), ("out", ("y",)), (out, "late", 900)]),
        Done(tickets[1], [(out, "never")]),
        Done(tickets[2].ticket, end="retry", delay=1),
        Done(tickets[3], [("errors", "it failed")], end="failed"),
        Done(tickets[4], end="dead", error=ValueError("no")),
    ]
    found = q.exchange(done, max_count=10, timeout=0, deadline=60)
    assert found.applied == [True, False, True, True, True] and [one.message for one in found.tickets] == [5, 6]
    assert drained(out) == ["x", ("y",)] and out.info()["delayed"] == 1 and queue.get("errors").pop() == ["it failed"]
    (letter,) = q.dead()
    assert (letter.message, repr(letter.exception), letter.cause, letter.text) == (4, "ValueError('no')", "exception", "4")
    (again,) = q.pop_tickets()
    assert (again.message, again.retries) == (2, 1)
    assert q.exchange([Done(again, end="back")], 0).applied == [True]
    (again,) = q.exchange([], 1, 0).tickets
    assert (again.message, again.retries) == (2, 1)
    assert q.exchange(iter([Done(one) for one in [again, *found.tickets]]), 0) == ([True] * 3, [])
    assert held(q) == (0, 0, 1)


def test_what_an_iterator_changes_between_its_outputs_is_sent_as_it_was(q: CloudQueue) -> None:
    q.push([1])
    grown: list[int] = []
    outputs = ((q, grown) for n in range(3) if grown.append(n) is None)  # type: ignore[func-returns-value]
    q.exchange([Done(q.pop_tickets()[0], outputs)], 0)
    assert drained(q) == [[0], [0, 1], [0, 1, 2]]


# -- the queue itself -------------------------------------------------------------------------------------------------------


def test_what_is_known_of_a_queue(q: CloudQueue) -> None:
    q.set_retention(86_400)
    q.pause()
    q.push([1, 2])
    found = q.info()
    assert found["created"] <= datetime.now(UTC) and found["oldest"] >= 0
    assert (found["name"], found["paused"], found["retention"], found["count"]) == ("in", True, 86_400, 2)
    (window,) = found["windows"]
    assert 0 <= (datetime.now(UTC) - window[0]).total_seconds() < 60 and window[1:] == (2, 0, 0, 0)
    assert (found["handler"], found["error_share"], found["enqueue_rate"] > 0) == (None, 0, True)
    q.resume()
    q.set_retention(0)
    assert (q.info()["paused"], q.info()["retention"]) == (False, 0)
    q.pop_tickets(1)
    assert q.purge() == 1 and held(q) == (0, 1, 0)


def test_dead_letters_go_back_or_are_buried(q: CloudQueue) -> None:
    q.push(range(150))
    while tickets := q.pop_tickets(timeout=0):
        q.exchange([Done(one, end="dead") for one in tickets], 0)
    letters = q.dead()
    assert [one.message for one in letters] == [*reversed(range(150))] and len(q.dead(7)) == 7
    assert [one.id for one in q.dead(2, before=letters[99].id)] == [one.id for one in letters[100:102]]
    assert q.replay([letters[0], letters[1].id, 1 << 60]) == 2 and q.replay(letters[2]) == 1
    assert sorted(drained(q)) == [147, 148, 149]
    assert q.bury(letters[:10]) == 7 and held(q) == (0, 0, 140)
    assert q.replay() == 140 and held(q) == (140, 0, 0) and q.bury() == 0


# -- elsewhere --------------------------------------------------------------------------------------------------------------


def test_a_queue_travels(q: CloudQueue) -> None:
    again = pickle.loads(pickle.dumps(q))
    assert again == q and hash(again) == hash(q) and repr(again) == "CloudQueue('in')" and again != queue.get("other") != "in"

    def work(n: int) -> int:
        (ticket,) = q.pop_tickets(1)
        cloud.queue.get("out").push([(n, ticket.message, bytes(100_000))])
        ticket.ack()
        return q.count()

    q.push(["a", "b"])
    cloud.result(cloud.map(work, [1, 2]), timeout=60)
    found = queue.get("out").pop()
    assert sorted(one[0] for one in found) == [1, 2] and sorted(one[1] for one in found) == ["a", "b"]
    assert {one[2] for one in found} == {bytes(100_000)} and held(q) == (0, 0, 0)


def test_a_program_in_a_job_uses_the_command_line(q: CloudQueue) -> None:
    q.push([20])
    command = "n=$(picloud queue pop in) && picloud queue push out $((n + 1)) && picloud queue count out"
    assert cloud.result(cloud.shell.execute(command, {}), timeout=60).split() == [b"1"]
    assert queue.get("out").pop() == [21]


def test_another_account_sees_nothing(q: CloudQueue, server: Any) -> None:
    q.push(["mine"])
    (ticket,) = q.pop_tickets()
    made = cloud._session.session().link.json("POST", "/v1/admin/account", {"name": "quentin"})
    try:
        cloud.setkey(made["api_key"], made["api_secretkey"], server.url)
        assert queue.list() == [] and not queue.exists("in") and q.count() == 0 and not q.delete()
        with pytest.raises(Conflict):
            q.ack(ticket)
        q.push(["his"])
        assert drained(q) == ["his"] and q.delete()
    finally:
        server.use()
    ticket.ack()


def test_the_simulator_has_none(q: CloudQueue) -> None:
    cloud.start_simulator()
    with pytest.raises(cloud.CloudException, match="simulator has no queues"):
        q.push([1])
