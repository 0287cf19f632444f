"""Questions of many threads in few requests: none waits alone, each gets its own answer or its own error."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from cloud import _ride
from cloud._ride import Ride
from picloud.wire.error import Conflict, Unavailable

DEADLINE = 10.0


class Far:
    """A server that doubles numbers, and answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.come = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.error: dict[int, BaseException] = {}

    def ask(self, questions: list[int]) -> Sequence[int]:
        self.asked.append(questions)
        self.come.release()
        assert self.let.acquire(timeout=DEADLINE)
        for one in questions:
            if one in self.error:
                raise self.error[one]
        return [2 * one for one in questions]


@pytest.fixture
def far() -> Far:
    return Far()


def ride(far: Far, size: int = 1) -> Ride[int, int]:
    return Ride(far.ask, lambda one: one % 100, lambda _: size)


def under_way(far: Far, made: Ride[int, int], pool: ThreadPoolExecutor, numbers: Sequence[int]) -> list[Future[int]]:
    """The first is with the server; the others wait for it."""
    found = [pool.submit(made.ask, numbers[0])]
    assert far.come.acquire(timeout=DEADLINE)
    found += [pool.submit(made.ask, one) for one in numbers[1:]]
    ends = threading.Event()
    while len(made._waiting) < len(numbers) - 1:
        assert not ends.wait(0.001)
    return found


@pytest.fixture(autouse=True)
def _one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ride, "WAYS", 1)


def test_who_is_alone_asks_at_once(far: Far) -> None:
    far.let.release(2)
    made = ride(far)
    assert [made.ask(1), made.ask(2)] == [2, 4] and far.asked == [[1], [2]]


def test_those_that_come_meanwhile_go_together(far: Far) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = under_way(far, ride(far), pool, range(8))
        far.let.release(2)
        assert [one.result(DEADLINE) for one in found] == [2 * n for n in range(8)]
    assert [sorted(one) for one in far.asked] == [[0], [1, 2, 3, 4, 5, 6, 7]]


def test_several_requests_may_be_under_way(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ride, "WAYS", 2)
    made = ride(far)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(made.ask, one) for one in (1, 2)]
        assert far.come.acquire(timeout=DEADLINE) and far.come.acquire(timeout=DEADLINE)
        far.let.release(2)
        assert [one.result(DEADLINE) for one in found] == [2, 4]


def test_a_refusal_is_told_to_the_one_that_it_is_for(far: Far) -> None:
    far.error[3] = Conflict("another version is there")
    with ThreadPoolExecutor(5) as pool:
        found = under_way(far, ride(far), pool, range(5))
        far.let.release(20)
        assert [one.result(DEADLINE) for one in found if one is not found[3]] == [0, 2, 4, 8]
        with pytest.raises(Conflict):
            found[3].result(DEADLINE)
    assert sorted(map(len, far.asked)) == [1, 1, 1, 1, 1, 4]


def test_a_server_that_is_away_is_asked_once(far: Far) -> None:
    far.error[3] = Unavailable("no answer")
    with ThreadPoolExecutor(4) as pool:
        found = under_way(far, ride(far), pool, range(4))
        far.let.release(2)
        errors = [one.exception(DEADLINE) for one in found]
    assert errors[0] is None and all(isinstance(one, Unavailable) for one in errors[1:])
    assert len(set(map(id, errors[1:]))) == 3 and len(far.asked) == 2


def test_two_of_one_key_go_one_after_the_other(far: Far) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = under_way(far, ride(far), pool, [1, 102, 202])
        far.let.release(3)
        assert sorted(one.result(DEADLINE) for one in found) == [2, 204, 404]
    assert sorted(map(len, far.asked)) == [1, 1, 1]


def test_a_request_takes_so_many_bytes(far: Far) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = under_way(far, ride(far, _ride.MOST_BYTES // 2), pool, range(6))
        far.let.release(10)
        assert [one.result(DEADLINE) for one in found] == [0, 2, 4, 6, 8, 10]
    assert max(map(len, far.asked)) == 2


def test_nobody_waits_for_a_sender_that_was_interrupted(far: Far) -> None:
    far.error[0] = KeyboardInterrupt()
    with ThreadPoolExecutor(3) as pool:
        found = under_way(far, ride(far), pool, range(3))
        far.let.release(3)
        assert isinstance(found[0].exception(DEADLINE), KeyboardInterrupt)
        assert [one.result(DEADLINE) for one in found[1:]] == [2, 4]
