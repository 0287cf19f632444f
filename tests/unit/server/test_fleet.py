"""What the server believes of a worker's memory is never more than the worker has."""

import asyncio

from picloud.server import fleet
from picloud.server.fleet import Fleet, Worker
from picloud.server.kind import Kind
from picloud.wire.message import Ack, Slots, decode_to_worker
from picloud.worker import kit


def worker() -> Worker:
    return Worker(1, "a", b"", Kind(7, 1, "anna", "f2", 1, 5500, 1 << 30, 2))


def test_control_trusts_fewer_specs_than_a_worker_keeps() -> None:
    assert fleet.KNOWN < kit.KNOWN


class FakeLine:
    """A connection that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()

    def send(self, message: bytes) -> None:
        self.sent.put_nowait(message)


def test_specs_are_sent_once_a_connection_and_again_when_long_unused(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(fleet, "KNOWN", 2)
    one = worker()
    assert one.lacks([5, 6, 5]) == [5, 6]
    one.used([5, 6])
    assert one.lacks([5, 6]) == []
    one.used([5])
    one.used([7])
    assert one.lacks([5, 6, 7]) == [6]
    one.greet(FakeLine(), 1)
    assert one.lacks([5]) == [5]


def test_acknowledgements_travel_together() -> None:
    async def talk() -> list[object]:
        one, line = worker(), FakeLine()
        one.greet(line, 1)
        one.acknowledge([(1, 1)])
        one.acknowledge([(2, 1), (3, 1)])
        one.send(Slots(2))
        async with asyncio.timeout(10):
            return [decode_to_worker(await line.sent.get()) for _ in range(2)]

    slots, ack = asyncio.run(talk())
    assert isinstance(slots, Slots)
    assert isinstance(ack, Ack)
    assert ack.jobs == [(1, 1), (2, 1), (3, 1)]


def test_run_times_rise_fast_and_fall_slowly() -> None:
    one = worker()
    one.learn([100])
    one.learn([1_000_000])
    assert one.runtime_us is not None
    assert one.runtime_us > 400_000
    one.learn([100])
    assert one.runtime_us > 400_000


def test_a_worker_is_found_by_kind_and_row() -> None:
    workers, one = Fleet(), worker()
    workers.add(one)
    assert workers.of_kind(7) == [one]
    assert workers.of_id(1) is one
    assert workers.of_kind(8) == []
    assert workers.remove("a") is one
    assert list(workers) == []


def test_large_arguments_make_a_worker_hold_fewer_leases() -> None:
    one = worker()
    one.window = 2048
    assert one.room() == 2048
    one.argument_bytes = 500
    assert one.room() == 2048
    one.argument_bytes = 65_536
    assert one.room() == fleet.HELD_BYTES // 65_536 < 2048


def test_a_worker_is_stuck_when_its_jobs_wait_and_none_ends(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    one = worker()
    assert not one.stuck(waiting=True)
    monkeypatch.setattr(fleet, "STUCK", -1.0)
    assert one.stuck(waiting=True)
    monkeypatch.setattr(fleet, "STUCK", 3600.0)
    one.moved -= 4000
    assert one.stuck(waiting=True)
    one.learn([100])
    assert not one.stuck(waiting=True)
    one.moved -= 4000
    assert not one.stuck(waiting=False) and not one.stuck(waiting=True)


def test_workers_on_reserved_cores_come_first_and_cost_nothing_more() -> None:
    workers, kind = Fleet(), Kind(7, 1, "anna", "f2", 1, 5500, 1 << 30, 2, price=220_000)
    plain, kept = Worker(1, "a", b"", kind), Worker(2, "b", b"", kind, reserved=True)
    workers.add(plain)
    workers.add(kept)
    assert list(workers) == workers.of_kind(7) == [kept, plain]
    assert workers.the(7, reserved=True) is kept and workers.the(7, reserved=False) is plain
    assert (kept.price, plain.price) == (0, 220_000)
