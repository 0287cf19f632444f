"""The verbs of jobs, the same on a server, in the simulator and in ``cloud.mp``.

The functions stand inside the tests, so that they travel by value and need nothing of this file.
"""

from __future__ import annotations

import functools
import os
import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import cloud
from tests.contract.conftest import DEADLINE, Place, until
from tests.gate import attempt_number, gate

# -- a call and its result --------------------------------------------------------------------------------------------


def test_a_lambda(place: Place) -> None:
    jid = place.verbs.call(lambda x: x * 3, 3)
    assert type(jid) is int
    assert place.verbs.result(jid) == 9
    assert place.verbs.status(jid) == "done"
    assert place.verbs.result(jid) == 9


def test_arguments_of_all_kinds(place: Place) -> None:
    def told(a: int, *rest: int, b: int = 2, **more: int) -> tuple[Any, ...]:
        return a, rest, b, more

    assert place.returns(told, 1, 5, 6, b=3, c=4) == (1, (5, 6), 3, {"c": 4})


def test_callables_of_all_kinds(place: Place) -> None:
    factor = 7

    class Scale:
        def __init__(self, by: int) -> None:
            self.by = by

        def times(self, x: int) -> int:
            return self.by * x

        def __call__(self, x: int) -> int:
            return self.by * x + factor

    for function in (lambda x: x * factor, Scale(3).times, Scale(3), functools.partial(pow, 2), abs):
        assert place.returns(function, 5) == function(5)


def test_values_come_back_as_they_are(place: Place) -> None:
    for value in (None, 1.5, "ä\0", b"\xff", [1, {2: (3,)}], {"a": {1, 2}}, 10**40, float("inf"), range(3)):
        assert place.returns(lambda x: x, value) == value


def test_large_values(place: Place) -> None:
    data = os.urandom(3_000_000)
    assert place.returns(lambda data: data + b"!", data) == data + b"!"


def test_classes_made_here_travel_both_ways(place: Place) -> None:
    class Point:
        def __init__(self, x: int) -> None:
            self.x = x

    def moved(point: Any) -> Any:
        point.x += 1
        return point

    found = place.returns(moved, Point(1))
    assert (type(found).__name__, found.x) == ("Point", 2)


# -- maps -------------------------------------------------------------------------------------------------------------


def test_a_map_keeps_the_order(place: Place) -> None:
    jids = place.verbs.map(lambda x: x * x, range(100))
    assert len(jids) == 100
    assert place.verbs.result(jids) == [x * x for x in range(100)]
    assert place.verbs.result(reversed(jids)) == [x * x for x in reversed(range(100))]
    assert place.verbs.result([jids[3], jids[7:9], jids[3]]) == [9, 49, 64, 9]
    assert set(place.verbs.status(jids)) == {"done"}


def test_a_map_of_nothing(place: Place) -> None:
    assert list(place.verbs.map(abs, [])) == []
    assert place.verbs.result([]) == []
    assert place.verbs.status([]) == []


def test_a_map_over_several_iterables_pads_the_shorter(place: Place) -> None:
    with pytest.warns(UserWarning, match="different lengths"):
        jids = place.verbs.map(lambda a, b: (a, b), [1, 2, 3], "ab")
    assert place.verbs.result(jids) == [(1, "a"), (2, "b"), (3, None)]


def test_a_map_over_a_generator(place: Place) -> None:
    jids = place.verbs.map(lambda x: -x, (x for x in range(700)))
    assert place.verbs.result(jids) == [-x for x in range(700)]


def test_a_generator_that_fails_says_what_was_accepted(place: Place) -> None:
    def items() -> Iterator[int]:
        yield from range(20)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        place.verbs.map(lambda x: x, items())


def test_iresult_is_ordered_and_goes_on_after_an_error(place: Place) -> None:
    jids = place.verbs.map(lambda x: 10 // x, [5, 0, 2])
    found: list[Any] = []
    results = place.verbs.iresult(jids, timeout=DEADLINE)
    while len(found) < 3:
        try:
            found.append(next(results))
        except cloud.CloudException as error:
            found.append(type(error.__cause__))
    assert found == [2, ZeroDivisionError, 5]
    assert list(results) == []


def test_iresult_unordered_gives_each_once(place: Place) -> None:
    jids = place.verbs.map(lambda x: x + 1, range(50))
    found = dict(place.verbs.iresult(jids, ordered=False))
    assert found == {jid: x + 1 for x, jid in enumerate(jids)}


# -- errors -----------------------------------------------------------------------------------------------------------


def test_an_exception_comes_with_its_traceback_and_itself(place: Place) -> None:
    def broken(x: int) -> None:
        raise LookupError("gone", x)

    error = place.fails(broken, 7)
    assert "LookupError: ('gone', 7)" in str(error)
    assert "in broken" in str(error)
    assert isinstance(error.__cause__, LookupError)
    assert error.__cause__.args == ("gone", 7)
    assert error.jid is not None
    assert (error.status, place.verbs.status(error.jid)) == ("error", "error")
    assert "in broken" in place.verbs.info(error.jid, "exception")[error.jid]["exception"]


def test_errors_of_some_jobs_of_many(place: Place) -> None:
    jids = place.verbs.map(lambda x: 1 // x, [1, 0, 1, 0])
    with pytest.raises(cloud.CloudException):
        place.verbs.join(jids, timeout=DEADLINE)
    place.verbs.join(jids, timeout=DEADLINE, ignore_errors=True)
    with pytest.raises(cloud.CloudException, match="2 of 4 jobs failed") as caught:
        place.verbs.result(jids, timeout=DEADLINE)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    found = place.verbs.result(jids, timeout=DEADLINE, ignore_errors=True)
    assert [found[0], found[2]] == [1, 1]
    assert [type(one.__cause__) for one in (found[1], found[3])] == [ZeroDivisionError] * 2


@pytest.mark.parametrize(
    ("code", "cause", "said"),
    [
        ("import sys; sys.exit(3)", "exit", "code 3"),
        ("import os; os._exit(4)", "exit", "code 4"),
        ("import ctypes; ctypes.string_at(0)", "signal", "SIGSEGV"),
        ("raise MemoryError", "out_of_memory", "memory"),
    ],
)
def test_an_end_without_an_exception_has_its_cause(place: Place, code: str, cause: str, said: str) -> None:
    error = place.fails(lambda: exec(code))
    assert said in str(error) or said in str(error.failure)  # type: ignore[attr-defined]
    assert place.verbs.info(error.jid, "cause")[error.jid] == {"cause": cause}
    assert place.returns(abs, -1) == 1


def test_what_cannot_be_pickled(place: Place) -> None:
    with pytest.raises(pickle.PicklingError, match="lock"):
        place.verbs.call(lambda x: x, [threading.Lock()])
    error = place.fails(lambda: {"key": __import__("threading").Lock()})
    assert "pickle" in str(error)
    assert place.verbs.info(error.jid, "cause")[error.jid] == {"cause": "cannot_save"}


def test_calls_that_make_no_sense_are_refused_at_once(place: Place) -> None:
    verbs = place.verbs
    for error, act in (
        (TypeError, lambda: verbs.call(5)),
        (TypeError, lambda: verbs.call(abs)),
        (TypeError, lambda: verbs.call(lambda x: x, 1, 2)),
        (TypeError, lambda: verbs.call(abs, 1, _labell="x")),
        (TypeError, lambda: verbs.call(abs, 1, _priority="high")),
        (ValueError, lambda: verbs.call(abs, 1, _max_runtime=-1)),
        (ValueError, lambda: verbs.call(abs, 1, _label="\0")),
        (ValueError, lambda: verbs.call(abs, 1, _label="x" * 1_000_000)),
        (ValueError, lambda: verbs.map(abs)),
        (ValueError, lambda: verbs.map(abs, [1], x=1)),
        (TypeError, lambda: verbs.map(abs, 5)),
        (TypeError, lambda: verbs.status("1")),
        (TypeError, lambda: verbs.result([1.5])),
        (ValueError, lambda: verbs.call(abs, 1, _env="sci/ence")),
    ):
        with pytest.raises(error):
            act()


def test_an_unknown_jid_is_named(place: Place) -> None:
    unknown = 10**12
    for act in (place.verbs.status, place.verbs.result, place.verbs.info, place.verbs.delete, place.verbs.join):
        with pytest.raises(cloud.CloudException, match=str(unknown)):
            act([unknown])
    with pytest.raises(cloud.CloudException, match=str(unknown)):
        place.verbs.call(abs, 1, _depends_on=unknown)


# -- time, order, ends ------------------------------------------------------------------------------------------------


def test_a_wait_that_is_too_short(place: Place) -> None:
    jid = place.verbs.call(time.sleep, 60)
    for act in (place.verbs.join, place.verbs.result, lambda jid, timeout: next(place.verbs.iresult(jid, timeout))):
        with pytest.raises(cloud.CloudTimeoutError):
            act(jid, timeout=0.05)
    place.verbs.kill(jid)


def test_kill(place: Place) -> None:
    running = place.verbs.call(time.sleep, 60)
    until(lambda: place.verbs.status(running) == "processing")
    waiting = place.verbs.call(abs, 1, _depends_on=running)
    assert place.verbs.status(waiting) == "waiting"
    place.verbs.kill(running)
    assert place.verbs.status([running, waiting]) == ["killed", "stalled"]
    with pytest.raises(cloud.CloudException) as caught:
        place.verbs.result(running)
    assert caught.value.status == "killed"
    place.verbs.kill([running])
    place.verbs.kill([])
    assert place.returns(abs, -2) == 2


def test_a_time_limit(place: Place) -> None:
    error = place.fails(time.sleep, 60, _max_runtime=0.005)
    assert error.status == "killed"
    assert place.verbs.info(error.jid, "cause")[error.jid] == {"cause": "timeout"}


def test_dependencies(place: Place) -> None:
    first = place.verbs.map(lambda x: x, range(3))
    then = place.verbs.call(lambda: "then", _depends_on=[first, first[0]])
    assert place.verbs.result(then, timeout=DEADLINE) == "then"
    assert set(place.verbs.status(first)) == {"done"}


def test_a_dependency_that_fails(place: Place) -> None:
    bad = place.verbs.call(lambda: 1 // 0)
    stalled = place.verbs.call(abs, 1, _depends_on=bad)
    anyway = place.verbs.call(abs, 2, _depends_on=[bad], _depends_on_errors="ignore")
    assert place.verbs.result(anyway, timeout=DEADLINE) == 2
    with pytest.raises(cloud.CloudException, match=str(bad)):
        place.verbs.result(stalled, timeout=DEADLINE)
    assert place.verbs.status(stalled) == "stalled"


def test_retries(place: Place) -> None:
    def flaky(until: int, **options: Any) -> int:
        label = gate()
        number = attempt_number(place.module, label)

        def fails() -> int:
            tries = number()
            if tries < until:
                raise ValueError(tries)
            return tries

        return place.verbs.call(fails, _label=label, **options)

    def last(jid: int) -> str:
        with pytest.raises(cloud.CloudException) as caught:
            place.verbs.result(jid, timeout=DEADLINE)
        return str(caught.value)

    assert place.verbs.result(flaky(3, _retries=3, _retry_delay=0.01), timeout=DEADLINE) == 3
    assert "ValueError: 2" in last(flaky(9, _retries=1, _retry_on=[ValueError, OSError]))
    assert "ValueError: 1" in last(flaky(9, _retries=3, _retry_on=KeyError))


def test_delete(place: Place) -> None:
    jids = place.verbs.map(abs, [-1, -2])
    assert place.verbs.result(jids, timeout=DEADLINE) == [1, 2]
    place.verbs.delete(jids)
    with pytest.raises(cloud.CloudException):
        place.verbs.status(jids)
    running = place.verbs.call(time.sleep, 60)
    with pytest.raises(cloud.CloudException):
        place.verbs.delete(running)
    place.verbs.kill(running)


def test_callbacks(place: Place) -> None:
    good: list[Any] = []
    bad: list[Any] = []
    one = place.verbs.call(abs, 1, _callback=[good.append, lambda: good.append("no argument")], _callback_on_error=bad.append)
    two = place.verbs.call(lambda: 1 // 0, _callback=good.append, _callback_on_error=bad.append)
    until(lambda: len(good) == 2 and bad)
    assert (good, bad) == ([one, "no argument"], [two])
    with pytest.raises(TypeError):
        place.verbs.map(abs, [1], _callback=good.append)


# -- jobs inside jobs -------------------------------------------------------------------------------------------------


def test_jobs_that_make_jobs_and_wait_for_them(place: Place) -> None:
    module = place.module

    def fib(n: int) -> int:
        import importlib

        verbs = importlib.import_module(module)
        return n if n < 2 else sum(verbs.result(verbs.map(fib, [n - 1, n - 2])))

    assert place.returns(fib, 5) == 5


def test_a_job_that_would_wait_for_itself_is_told_at_once(place: Place) -> None:
    module, label = place.module, f"itself {os.urandom(4).hex()}"

    def waits() -> None:
        import importlib

        verbs = importlib.import_module(module)
        verbs.join([row["jid"] for row in verbs.jobs(label=label)], timeout=60)

    error = place.fails(waits, _label=label)
    assert isinstance(error.__cause__, cloud.CloudTimeoutError)
    assert "would wait for itself" in str(error)


def test_more_waiting_jobs_than_slots(place: Place) -> None:
    module = place.module

    def parent(x: int) -> int:
        import importlib

        verbs = importlib.import_module(module)
        return sum(verbs.result(verbs.map(lambda y: y, [x, x])))

    jids = place.verbs.map(parent, range(40))
    assert place.verbs.result(jids, timeout=DEADLINE) == [2 * x for x in range(40)]


def test_a_job_can_return_jids(place: Place) -> None:
    module = place.module

    def start() -> Any:
        import importlib

        return importlib.import_module(module).map(abs, [-1, -2, -3])

    assert place.verbs.result(place.returns(start), timeout=DEADLINE) == [1, 2, 3]


def test_errors_inside_jobs_are_the_same(place: Place) -> None:
    module = place.module

    def ask() -> str:
        import importlib

        verbs = importlib.import_module(module)
        try:
            verbs.result(verbs.call(lambda: 1 // 0))
        except cloud.CloudException as error:
            return f"{type(error).__name__} {type(error.__cause__).__name__}"
        return ""

    assert place.returns(ask) == "JobError ZeroDivisionError"
