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
from picloud.server.fullness import Disk
from picloud.server.janitor import Janitor
from picloud.server.storage import Storage, now_ms
from picloud.settings import Settings
from picloud.store import backup, blob, closing, code
from picloud.store.act.answer import Finish
from picloud.store.db import Database
from picloud.store.files import Files, Folder
from picloud.wire.error import NotFound, Unavailable
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


def tidy(ann: Keeper, folder: Path, until: Callable[[], bool], told: Told, files: Files | None = None) -> None:
    """Let the janitor work until something is so."""

    async def working() -> None:
        settings = Settings(home=str(folder))
        janitor = Janitor(Storage(ann.db, settings), cast(Dispatcher, told), files or Folder(folder / "blob"), settings)
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


def test_code_is_swept_past_a_gap_in_the_numbers_of_submissions(
    ann: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a restored server has it: by steps of a fixed width it would take hours."""
    monkeypatch.setattr(janitors, "BREATH", 0.0)
    ann.now = now_ms()
    ann.map(1)
    ann.write(lambda tx: backup.taken_up(tx, 1 << 50, ann.now))
    ann.map(1)
    loose = Code(hashlib.sha256(b"").hexdigest(), "function", b"")
    ann.write(code.put, ann.account, [loose], 10)
    tidy(ann, tmp_path, lambda: ann.read(code.every)[1] == {(ann.account, CODE.digest)}, Told())
    assert ann.read(code.get, ann.account, CODE.digest) == CODE


def test_a_full_disk_is_told_once(
    ann: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks: list[list[Disk]] = []
    shares = [0.5, 0.91, 0.95, 0.5, 0.9, *[0.99] * 10_000]

    def look(_: Settings) -> list[Disk]:
        looks.append([Disk("/there", 100, 9, shares[len(looks)])])
        return looks[-1]

    monkeypatch.setattr(janitors, "disks", look)
    monkeypatch.setattr(janitors, "DISKS_EVERY", 0.001)
    tidy(ann, tmp_path, lambda: len(looks) > 8, Told())
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line.partition(" of")[0] for line in said] == ["91%", "90%"]
    assert "picloud du" in said[0] and "/there" in said[0]


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


class Away(Folder):
    """Cannot delete at first."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.failures = 2

    def delete(self, *names: str) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("S3 is away")
        super().delete(*names)


def test_bytes_that_cannot_be_deleted_now_are_deleted_later(ann: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitors, "BLOBS_EVERY", 0.01)
    monkeypatch.setattr(janitors, "BREATH", 0.0)
    files, several = Away(tmp_path / "blob"), 2500
    names = ann.write(blob.new, ann.account, [1] * several, 10)
    for name in names[::100]:
        with files.create(name) as sink:
            sink.write(b"x")
    ann.write(blob.sweep, 1_000_000, 2_000_000)
    tidy(ann, tmp_path, lambda: not ann.read(blob.sizes, names), Told(), files)
    assert not files.failures
    assert not [path for path in (tmp_path / "blob").rglob("*") if path.is_file()]
