"""Outcomes that could not be written are not forgotten."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from picloud.server import dispatcher as dispatching
from picloud.server.dispatcher import Dispatcher
from picloud.server.fleet import Fleet, Worker
from picloud.server.hub import Hub
from picloud.server.kind import Kind
from picloud.settings import Settings
from picloud.store.act.answer import Finish
from picloud.wire.error import StorageFull
from picloud.wire.job import Cause
from picloud.wire.message import Done, Outcome


class FullDisk:
    """A store whose first writes fail."""

    def __init__(self, fails: int) -> None:
        self.fails, self.tries = fails, 0
        self.written = asyncio.Event()

    def then(self, act: Any, done: Callable[[Finish], None], failed: Callable[[BaseException], None], few: str) -> None:
        self.tries += 1
        if self.tries <= self.fails:
            failed(StorageFull("the database's disk is full"))
            return
        done(Finish())
        self.written.set()


def test_they_are_tried_again_until_the_disk_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatching, "AGAIN", 0.0)

    async def story() -> None:
        storage, worker = FullDisk(2), Worker(1, "a", b"", Kind(7, 1, "anna", "f2", 1, 5500, 1 << 30, 2))
        dispatcher = Dispatcher(cast(Any, storage), Fleet(), Hub(), cast(Any, None), Settings())
        dispatcher.done(worker, Done([Outcome(10, 1, b"x", Cause.none, 5)]))
        assert worker.finishing
        await asyncio.wait_for(storage.written.wait(), 5)
        assert storage.tries == 3
        assert not worker.finishing
        assert not worker.outcomes

    asyncio.run(story())
