"""The slow loops, on a store without a server."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from picloud.server import janitor as janitors
from picloud.server.dispatcher import Dispatcher
from picloud.server.janitor import Janitor
from picloud.server.storage import Storage, now_ms
from picloud.settings import Settings
from picloud.store import closing, code
from picloud.store.act.answer import Finish
from picloud.store.db import Database
from picloud.store.files import Folder
from picloud.wire.error import NotFound
from picloud.wire.message import Code
from tests.contract.store.storekeeper import CODE, Keeper

DEADLINE = 10.0


class Told:
    """What the dispatcher is told."""

    def __init__(self) -> None:
        self.closed: list[tuple[int, int]] = []

    def settle(self, result: Finish) -> None:
        self.closed += result.closed

    def more(self, kinds: Any) -> None:
        pass


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Keeper]:
    db = Database.open(f"sqlite:///{tmp_path}/picloud.sqlite")
    yield Keeper(db)
    db.close()


def tidy(ann: Keeper, folder: Path, until: Callable[[], bool], told: Told) -> None:
    """Let the janitor work until something is so."""

    async def working() -> None:
        settings = Settings(home=str(folder))
        janitor = Janitor(Storage(ann.db, settings), cast(Dispatcher, told), Folder(folder / "blob"), settings)
        running = asyncio.ensure_future(janitor.run())
        try:
            deadline = time.monotonic() + DEADLINE
            while not until():
                assert time.monotonic() < deadline, "waited in vain"
                await asyncio.sleep(0.01)
        finally:
            running.cancel()

    asyncio.run(working())


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitors, "TICK", 0.01)


def test_closed_jobs_get_their_rows_and_whoever_watches_is_told(ann: Keeper, tmp_path: Path) -> None:
    count, told = 3 * closing.AT_ONCE, Told()
    made = ann.map(count, 1)
    ann.kill(None)
    tidy(ann, tmp_path, lambda: sum(size for _, size in told.closed) >= count - 1, told)
    assert not ann.read(closing.any_left)
    assert sum(size for _, size in told.closed) == count - 1
    assert ann.status(made.first + count - 1) == "killed"


def test_code_is_swept_past_many_submissions(ann: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitors, "WALK", 2)
    monkeypatch.setattr(janitors, "BREATH", 0.0)
    ann.now = now_ms()
    for _ in range(5):
        ann.map(1)
    loose = Code(hashlib.sha256(b"").hexdigest(), "function", b"")
    ann.write(code.put, ann.account, [loose], 10)

    def gone() -> bool:
        try:
            ann.read(code.get, ann.account, loose.digest)
        except NotFound:
            return True
        return False

    tidy(ann, tmp_path, gone, Told())
    assert ann.read(code.get, ann.account, CODE.digest) == CODE


def test_a_chore_that_fails_or_takes_long_holds_up_no_other(ann: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def fails(_: Janitor) -> None:
        seen.append("failed")
        raise OSError("no luck today")

    async def stays(_: Janitor) -> None:
        seen.append("stays")
        await asyncio.sleep(DEADLINE)

    chores: dict[str, Callable[[Janitor], Awaitable[None]]] = {"_due": fails, "_blobs": stays}
    for name, chore in chores.items():
        monkeypatch.setattr(Janitor, name, chore)
    tidy(ann, tmp_path, lambda: seen.count("failed") >= 3 and "stays" in seen, Told())
