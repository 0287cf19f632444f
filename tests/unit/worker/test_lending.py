"""Slots that jobs lent while they waited stay a moment: the next wait would need them again."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from picloud.wire.message import ToServer
from picloud.worker.lending import SHORT, Lending


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


def test_surplus_slots_stay_after_a_wait_and_are_looked_at_once() -> None:
    loop: Any = Loop()
    lending = Lending(loop, 512, Reports())
    looks: list[int] = []
    assert not lending.keeps(lambda: looks.append(1))
    job: Any = SimpleNamespace(key=(7, 1), waits=0)
    assert lending.moved(job, True)
    lending.moved(job, False)
    loop.later.clear()
    assert lending.keeps(lambda: looks.append(1))
    assert lending.keeps(lambda: looks.append(2))
    ((seconds, look),) = loop.later
    assert 0 < seconds <= SHORT + 0.01
    look()
    assert looks == [1]
