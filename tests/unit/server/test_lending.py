"""A deadlock of jobs that wait for jobs ends with a word to the newest waiter."""

import msgspec

from picloud.server.fleet import Worker
from picloud.server.hub import Watcher
from picloud.server.kind import Kind
from picloud.server.scheduler import Host, KindView
from picloud.server.waits import Waits
from picloud.wire.message import Finished


async def _turn(spare: int, target: int) -> list[Watcher]:
    waits = Waits()
    worker = Worker(1, "a", b"", Kind(7, 1, "anna", "f2", 1, 5500, 1 << 30, 2))
    watchers = [Watcher(1, [(jid, 1)], True) for jid in (10, 11)]
    for jid, watcher in enumerate(watchers):
        waits.begin(worker, jid, watcher)
    view = KindView(7, 1, 5500, ready=2, slots=2, busy=2, lent=2)
    waits.break_deadlock(view, target, Host(16_000, 2, spare_slots=spare), relieve=lambda: False)
    return watchers


def test_the_newest_waiter_is_told() -> None:
    import asyncio

    older, newest = asyncio.run(_turn(spare=0, target=2))
    assert older.frames == []
    (told,) = msgspec.msgpack.decode(newest.take()[4:], type=list[Finished])
    assert told.jid == 0
    assert told.failure is not None
    assert "deadlock" in told.failure.message


def test_nobody_is_told_while_there_is_room() -> None:
    import asyncio

    assert all(w.frames == [] for w in asyncio.run(_turn(spare=1, target=2)))
    assert all(w.frames == [] for w in asyncio.run(_turn(spare=0, target=3)))
