"""What takes room, by account and kind, and what of it is due to go."""

from __future__ import annotations

import pytest

from picloud.store import blob, log, retention, space
from picloud.store.db import Database
from picloud.store.index import object as objects
from picloud.store.index import tree, volume
from picloud.wire.message import Arguments, LogChunk
from picloud.wire.object import New
from picloud.wire.queue import End
from picloud.wire.volume import Volume
from tests.contract.store.queuekeeper import Queues, ended
from tests.contract.store.storekeeper import CODE, Keeper, submission

LATE = 1 << 50


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


def taken(ann: Keeper) -> dict[tuple[str, str], tuple[int, int]]:
    return {(one.account, one.kind): (one.count, one.bytes) for one in ann.read(space.taken)}


def with_large_argument(keeper: Keeper, size: int) -> None:
    (name,) = keeper.write(blob.new, keeper.account, [size], keeper.now)
    keeper.write(blob.arrived, name, size, keeper.now)
    m = submission(1)
    m.arguments = Arguments([0], b"", ["big"], {0: name})
    keeper.submit(m)


def test_nothing_takes_no_room(ann: Keeper) -> None:
    assert taken(ann) == {}
    assert ann.read(space.overdue, LATE, LATE, LATE) == space.Overdue(0, 0, 0, 0, 0, 0, 0, 0)
    assert ann.read(space.stored) == 0


@pytest.mark.parametrize("accounts", [1, 2])
def test_each_account_is_told_what_it_keeps(db: Database, ann: Keeper, accounts: int) -> None:
    keepers = [ann, *(Keeper(db, name) for name in ["bob"][: accounts - 1])]
    for keeper in keepers:
        keeper.map(10)  # b"a0" .. b"a9"
        with_large_argument(keeper, 70_000)
        keeper.write(blob.new, keeper.account, [5], keeper.now)  # still on its way
        (loose,) = keeper.write(blob.new, keeper.account, [900], keeper.now)
        keeper.write(blob.arrived, loose, 900, keeper.now)
        bucket = keeper.write(tree.bucket, keeper.account, 1)
        keeper.write(objects.put, keeper.account, bucket, [New("a/b", 2, data=b"ab"), New("c", 1, data=b"c")], 6)
        keeper.write(volume.create, keeper.account, Volume("data", "/data"), 1)
        keeper.write(objects.put, keeper.account, keeper.write(tree.find, keeper.account, "data"), [New("d", 4, data=b"four")], 6)
        queues = Queues(db, keeper.account)
        queues.push("q", b"12345", b"123")
        ticket = queues.take("q", 1)[0]
        queues.exchange("q", ended(ticket, End.dead))
    expected = {}
    for name in ["ann", "bob"][:accounts]:
        expected |= {(name, "arguments"): (11, 70_020), (name, "bucket"): (2, 3), (name, "volumes"): (1, 4),
                     (name, "messages"): (1, 3), (name, "dead letters"): (1, 5),
                     (name, "code"): (1, len(CODE.data)), (name, "unused"): (1, 900)}  # fmt: skip
    assert taken(ann) == expected
    assert ann.read(space.stored) == accounts * 70_900


def test_what_is_due_is_what_goes(ann: Keeper, db: Database) -> None:
    made = ann.map(4)
    with_large_argument(ann, 70_000)
    worker = ann.worker()
    leases = ann.take(worker, want=2)
    printed = LogChunk(leases[0].jid, 1, "stdout", 0, b"printed")
    ann.write(log.append, worker, [printed], 1 << 20, 1 << 20)
    assert taken(ann)["ann", "logs"] == (1, 7)
    ann.kill([(made.first, 5)])
    found = ann.read(space.overdue, LATE, LATE, LATE)
    assert (found.payloads, found.payload_bytes, found.large_bytes, found.jobs) == (5, 8 + 7, 70_000, 5)
    assert ann.read(space.overdue, 1, 1, 1) == space.Overdue(0, 0, 0, 0, 0, 0, 0, 0)
    assert ann.write(retention.payloads, LATE) == 5 == found.payloads
    after = ann.read(space.overdue, LATE, LATE, LATE)
    assert (after.payloads, after.large_bytes, after.jobs, after.condemned, after.condemned_bytes) == (0, 0, 5, 1, 70_000)
    assert ann.write(blob.sweep, LATE, 10)[0] == 1
    waiting = ann.read(space.overdue, LATE, LATE, LATE)
    assert (waiting.condemned, waiting.blobs, waiting.blob_bytes) == (0, 1, 70_000)
    assert len(ann.write(blob.sweep, LATE, 20)[1]) == 1
    swept = ann.read(space.overdue, 0, 0, 0)
    assert (swept.blobs, swept.blob_bytes) == (1, 70_000), "its bytes are still there"
