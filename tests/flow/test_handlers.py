"""Handlers of queues: jobs that come with messages and go without them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud.queue import CloudQueue, MaxRetryException, Retry
from picloud.wire.error import NotFound
from tests.conftest import Server, server_home, serving, start_server, stop_server

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One whose handlers leave soon."""
    with serving("handler_idle = 2\n") as started:
        yield started


@pytest.fixture
def queues(server: Server, request: pytest.FixtureRequest) -> Iterator[Callable[[str], CloudQueue]]:
    """Makes queues of one test; they are deleted behind it."""
    made: list[CloudQueue] = []

    def get(name: str) -> CloudQueue:
        made.append(cloud.queue.get(f"{request.node.name[5:25]}-{name}"[:39].replace("[", "-").replace("]", "-")))
        return made[-1]

    yield get
    for one in made:
        one.delete()


def until(condition: Callable[[], Any], what: str = "", seconds: float = 40) -> Any:
    """The first true value; fails when the time is up."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what or "it did not happen"
        time.sleep(0.05)
    return found


def gathered(queue: CloudQueue, count: int) -> list[Any]:
    """So many messages of a queue."""
    found: list[Any] = []
    deadline = time.monotonic() + 40
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} came"
        found += queue.pop(10, 5)
    return found


def jobs_of(name: str) -> list[dict[str, Any]]:
    return [job for job in cloud.jobs() if job["function"] == name]


def test_each_message_is_handled_once(queues: Any) -> None:
    numbers, bigger = queues("numbers"), queues("bigger")

    def increment(x: int) -> int:
        return x + 1

    assert numbers.attach(increment, bigger) is True
    numbers.push(range(1000))
    assert sorted(gathered(bigger, 1000)) == list(range(1, 1001))
    assert numbers.count() == 0 and bigger.pop(10, 0) == []


def test_jobs_end_when_nothing_comes_and_others_start_when_something_does(queues: Any) -> None:
    source, sink = queues("in"), queues("out")

    def patient(x: int) -> int:
        return x

    source.attach(patient, sink)
    source.push([1])
    assert gathered(sink, 1) == [1]
    until(lambda: [job["status"] for job in jobs_of("patient")] == ["done"])
    source.push([2])
    assert gathered(sink, 1) == [2]
    assert len(jobs_of("patient")) == 2
    assert [job["jid"] for job in source.jobs()] == [job["jid"] for job in jobs_of("patient")]
    assert sink.jobs() == []


def test_an_instance_keeps_its_state_and_is_told_of_begin_and_end(queues: Any) -> None:
    source, sink = queues("in"), queues("out")

    class Counter:
        """Counts what it has seen."""

        def __init__(self, first: int) -> None:
            self.seen = first

        def pre_handling(self) -> None:
            self.seen += 100

        def message_handler(self, message: str) -> tuple[str, int]:
            self.seen += 1
            return message, self.seen

        def post_handling(self) -> None:
            sink.push([("end", self.seen)])

    source.attach(Counter(1000), sink)
    source.push(["a", "b", "c"])
    assert sorted(gathered(sink, 4)) == [("a", 1101), ("b", 1102), ("c", 1103), ("end", 1103)]


def test_outputs_go_to_all_queues_each_element_of_an_iterable_on_its_own(queues: Any) -> None:
    source, left, right = queues("in"), queues("left"), queues("right")

    def twice(x: int) -> Iterator[int | None]:
        yield x
        yield None
        yield 10 * x

    source.attach(twice, [left, right], iter_output=True)
    source.push([1, 2])
    expected = [None, None, 1, 2, 10, 20]
    for sink in (left, right):
        assert sorted(gathered(sink, 6), key=lambda x: x or 0) == expected


def test_none_is_no_message(queues: Any) -> None:
    source, sink = queues("in"), queues("out")

    def odd(x: int) -> int | None:
        return x if x % 2 else None

    source.attach(odd, sink)
    source.push(range(10))
    assert sorted(gathered(sink, 5)) == [1, 3, 5, 7, 9]
    until(lambda: source.info()["in_hand"] == 0 and source.count() == 0)
    assert sink.pop(1, 0) == []


def test_failures_are_tried_again_told_to_a_queue_or_kept(queues: Any) -> None:
    source, sink, bad = queues("in"), queues("out"), queues("bad")

    def choosy(x: int, cur_retry: int, max_retries: int) -> tuple[int, int, int]:
        if x == 1 and cur_retry < 2:
            raise KeyError(x)
        if x == 2:
            raise KeyError(x)
        if x == 3:
            raise FileNotFoundError(x)
        if x == 4:
            raise ZeroDivisionError(x)
        return x, cur_retry, max_retries

    source.attach(
        choosy,
        sink,
        retry_on=[KeyError],
        max_retries=3,
        retry_delay=0,
        on_error={LookupError: {"queue": bad}, OSError: {"queue": bad}},
    )
    source.push([1, 2, 3, 4, 5])
    assert sorted(gathered(sink, 2)) == [(1, 2, 3), (5, 0, 3)]
    told = {one["source_message"]: one for one in gathered(bad, 2)}
    assert type(told[2]["exception"]) is KeyError and told[2]["cur_retry"] == 3, "the inner exception chooses the way"
    assert type(told[3]["exception"]) is FileNotFoundError and "choosy" in told[3]["traceback"]
    (letter,) = until(source.dead)
    assert letter.message == 4 and isinstance(letter.exception, ZeroDivisionError)
    assert "ZeroDivisionError" in letter.failure.traceback
    (job,) = until(lambda: [job for job in jobs_of("choosy") if job["status"] == "error"])
    with pytest.raises(cloud.CloudException, match="ZeroDivisionError"):
        cloud.result(job["jid"])


def test_a_handler_asks_for_another_try_itself(queues: Any) -> None:
    source, sink, worn = queues("in"), queues("out"), queues("worn")

    def asking(x: int, cur_retry: int) -> int:
        if x == 1 and cur_retry == 1:
            return cur_retry
        raise Retry(delay=0, max_retries=1, message="not yet")

    source.attach(asking, sink, on_error={MaxRetryException: {"queue": worn}})
    source.push([1, 2])
    assert gathered(sink, 1) == [1]
    (told,) = gathered(worn, 1)
    assert told["source_message"] == 2 and told["cur_retry"] == 1


def test_a_poison_message_is_set_aside_and_the_others_are_handled(queues: Any) -> None:
    source, sink = queues("in"), queues("out")

    def victim(x: int) -> int:
        if x == 77:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    source.attach(victim, sink)
    source.push(range(200))
    assert sorted(gathered(sink, 199)) == [x for x in range(200) if x != 77]
    (letter,) = until(source.dead)
    assert letter.message == 77 and letter.failure.cause == "poison"
    assert source.count() == 0 and sink.pop(10, 0) == []


def test_what_a_killed_job_held_is_handled_by_the_next(queues: Any, tmp_path: Path) -> None:
    source, sink = queues("in"), queues("out")

    def slow_at_first(x: int) -> int:
        if cloud.bucket.exists("killed-once") is False:
            cloud.bucket.putf(b"", "killed-once")
            time.sleep(60)
        return x

    source.attach(slow_at_first, sink)
    source.push(range(20))
    try:
        until(lambda: cloud.bucket.exists("killed-once"))
        (job,) = until(lambda: [job for job in jobs_of("slow_at_first") if job["status"] == "processing"])
        cloud.kill(job["jid"])
        assert sorted(gathered(sink, 20)) == list(range(20))
    finally:
        cloud.bucket.remove("killed-once")


def test_a_slow_message_keeps_nobody_waiting(queues: Any) -> None:
    source, sink = queues("in"), queues("out")

    def uneven(x: int) -> int:
        while x == 0 and not cloud.bucket.exists("go-on"):
            time.sleep(0.1)
        return x

    source.attach(uneven, sink, readers_per_job=2)
    source.push(range(10))
    try:
        assert sorted(gathered(sink, 9)) == list(range(1, 10))  # by another reader, also those that the slow one had
    finally:
        cloud.bucket.putf(b"", "go-on")
    assert gathered(sink, 1) == [0]
    cloud.bucket.remove("go-on")


def test_another_handler_takes_over(queues: Any) -> None:
    source, sink = queues("in"), queues("out")

    def first(x: int) -> str:
        time.sleep(0.01)
        return f"first {x}"

    def second(x: int) -> str:
        return f"second {x}"

    source.attach(first, sink)
    source.push(range(100))
    found = gathered(sink, 5)
    source.attach(second, sink)
    source.push(range(100, 200))
    found += gathered(sink, 200 - len(found))
    assert sorted(int(text.split()[1]) for text in found) == list(range(200))
    assert {text.split()[0] for text in found if int(text.split()[1]) >= 100} == {"second"}


def test_what_is_pushed_behind_an_attach_is_handled_by_the_new_one_alone(queues: Any) -> None:
    source, sink = queues("in"), queues("out")
    for number in range(8):
        source.attach(lambda x, number=number: (number, x), sink)
        source.push([number])  # while a job of the one before still waits for messages
        assert gathered(sink, 1) == [(number, number)]


def test_a_handler_is_taken_away_and_paused(queues: Any) -> None:
    source, sink = queues("in"), queues("out")

    def same(x: int) -> int:
        return x

    source.attach(same, sink, max_parallel_jobs=0)
    source.push([1])
    assert sink.pop(1, 1) == [] and jobs_of("same") == []
    source.set_max_parallel_jobs(2)
    assert gathered(sink, 1) == [1]
    source.pause()
    source.push([2])
    assert sink.pop(1, 1) == []
    source.resume()
    assert gathered(sink, 1) == [2]
    assert source.detach() is True and source.detach() is False
    until(lambda: jobs_of("same")[0]["status"] == "done")
    source.push([3])
    assert sink.pop(1, 1) == []
    with pytest.raises(NotFound):
        source.set_max_parallel_jobs(1)


def test_a_message_whose_class_is_missing_is_set_aside(queues: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, sink = queues("in"), queues("out")
    (tmp_path / "at_the_author_s.py").write_text("class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import at_the_author_s

    def kind(x: Any) -> str:
        return type(x).__name__

    source.attach(kind, sink)
    source.push([at_the_author_s.Thing(), 1])
    assert gathered(sink, 1) == ["int"]
    (letter,) = until(source.dead)
    assert letter.failure.cause == "cannot_load" and "at_the_author_s" in letter.failure.message


def test_what_is_too_much_for_one_request_is_a_dead_letter(queues: Any) -> None:
    source, sink = queues("in"), queues("out")

    def flood(x: int) -> Iterator[bytes]:
        if x == 1:
            raise ValueError("x" * 3_000_000)
        for _ in range(600 if x == 2 else 1):
            yield bytes(60_000)

    source.attach(flood, sink, iter_output=True)
    source.push([1, 2, 3])
    assert gathered(sink, 1) == [bytes(60_000)]
    until(lambda: len(source.dead()) == 2)
    assert sorted(letter.message for letter in source.dead()) == [1, 2]
    assert any("more than 32 MiB" in letter.failure.message for letter in source.dead())


def test_a_queue_that_feeds_itself(queues: Any) -> None:
    source, sink = queues("in"), queues("out")

    def countdown(x: int) -> int | None:
        if x == 0:
            sink.push(["end"])
        return x - 1 if x else None

    source.attach(countdown, source)
    source.push([5])
    assert gathered(sink, 1) == ["end"]


def test_a_deleted_queue_lets_its_jobs_end(queues: Any) -> None:
    source, sink = queues("in"), queues("out")

    def dull(x: int) -> int:
        return x

    source.attach(dull, sink)
    source.push([1])
    gathered(sink, 1)
    source.delete()
    until(lambda: jobs_of("dull")[0]["status"] == "done")
    assert not cloud.queue.exists(source.name)


def same(message: Any) -> Any:
    return message


def test_a_server_that_stops_does_not_wait_for_handlers_that_wait(server: Server) -> None:
    home = server_home()
    (home / "settings.toml").write_text("drain = 120\nhandler_idle = 600\n")
    own = start_server(home)
    try:
        own.use()
        source, sink = cloud.queue.get("in"), cloud.queue.get("out")
        source.attach(same, sink)
        source.push([1])
        assert gathered(sink, 1) == [1]
        own.picloud("down")  # which has a minute
        own = start_server(home)
        own.use()
        source.push([2])
        assert gathered(sink, 1) == [2]
        assert sorted(job["status"] for job in source.jobs()) == ["done", "processing"]
    finally:
        stop_server(own)
        server.use()
