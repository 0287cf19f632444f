"""Slots that jobs lent while they waited stay a moment: the next wait would need them again."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from picloud.wire.job import Cause, Options
from picloud.wire.message import Lease, Outcome, Spec, ToServer
from picloud.worker.lending import SHORT, Lending
from picloud.worker.running import Running


class Loop:
    """Keeps what it is to call later."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], None]]] = []

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self.later.append((seconds, call))


class Reports:
    """Listens to nothing."""

    def tell(self, message: ToServer) -> None:
        assert message is not None

    def picture(self) -> None:
        """Nothing to redraw."""


def running(queue: str = "") -> Running:
    """A job that began just now."""
    return Running(Lease(7, 1, b"l", 1, b""), Spec(1, 1, "f", [], "f", Options(queue=queue)))


def test_surplus_slots_stay_after_a_wait_and_are_looked_at_once() -> None:
    loop: Any = Loop()
    lending = Lending(loop, 512, Reports())
    looks: list[int] = []
    assert not lending.keeps(lambda: looks.append(1))
    job = running()
    assert lending.moved(job, True)
    lending.moved(job, False)
    loop.later.clear()
    assert lending.keeps(lambda: looks.append(1))
    assert lending.keeps(lambda: looks.append(2))
    ((seconds, look),) = loop.later
    assert 0 < seconds <= SHORT + 0.01
    look()
    assert looks == [1]


class Clock:
    """Instead of the monotonic clock."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


def unpaid(job: Running, clock: Clock, cause: Cause = Cause.none) -> float:
    """Seconds that nobody pays for, where the job ends now."""
    outcome = Outcome(7, 1, b"l", int(cause), int((clock.now - job.began) * 1e6))
    return job.unpaid_us(outcome) / 1e6


def test_what_was_lent_is_not_paid_for(clock: Clock) -> None:
    lending = Lending(Loop(), 512, Reports())  # type: ignore[arg-type]
    job = running()
    assert unpaid(job, clock) == 0
    for began, ended in ((101, 103), (104, 109)):
        clock.now = began
        lending.moved(job, True)
        lending.moved(job, True)  # two of its threads
        lending.moved(job, False)
        clock.now = ended
        lending.moved(job, False)
    clock.now = 110
    assert unpaid(job, clock) == 7
    lending.moved(job, True)
    clock.now = 113
    assert unpaid(job, clock, Cause.killed) == 10  # killed while it waited


def test_a_handler_pays_from_its_first_message_to_its_last(clock: Clock) -> None:
    job = running("in")
    clock.now = 103
    assert unpaid(job, clock) == 3  # it has had none
    job.answered()  # the first messages
    clock.now = 105
    job.answered()  # the last ones are ended
    job.lend(True)
    clock.now = 108
    job.answered()  # others came
    job.lend(False)
    clock.now = 112
    job.answered()
    clock.now = 114
    assert unpaid(job, clock) == 14 - 2 - 4


def test_a_handler_that_dies_pays_until_then_but_for_what_it_waited(clock: Clock) -> None:
    job = running("in")
    clock.now = 101
    job.answered()
    clock.now = 106
    assert unpaid(job, clock, Cause.signal) == 1
    job.lend(True)
    clock.now = 109
    assert unpaid(job, clock, Cause.killed) == 4


@pytest.mark.parametrize("queue", ["", "in"])
def test_clocks_that_differ_make_nothing_negative(clock: Clock, queue: str) -> None:
    job = running(queue)
    job.answered()
    clock.now = 150
    job.answered()
    assert job.unpaid_us(Outcome(7, 1, b"l", 0, 1000)) == 0
