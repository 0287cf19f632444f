"""What charts show of the whole installation, on both databases."""

from __future__ import annotations

from picloud.store import overview
from picloud.store.db import Database
from picloud.store.overview import Jobs
from tests.contract.store.queuekeeper import Queues
from tests.contract.store.storekeeper import Keeper


def test_unfinished_jobs_by_state_and_core_type(db: Database) -> None:
    ann = Keeper(db)
    assert ann.read(overview.jobs) == [Jobs("waiting", "", 0)]
    first = ann.map(3).first
    ann.map(2, core_type="c2")
    ann.map(4, depends_on=[(first, 3)])
    found = ann.read(overview.jobs)
    assert sorted(found) == [Jobs("queued", "c1", 3), Jobs("queued", "c2", 2), Jobs("waiting", "", 4)]


def test_the_fullest_queues_of_all_accounts(db: Database) -> None:
    keeper = Keeper(db)
    q = Queues(db, keeper.account)
    for name, count in (("few", 1), ("many", 5), ("some", 3)):
        q.push(name, *[b"x"] * count)
    q.take("many", 2)
    found, count = keeper.read(overview.queues, q.now, 2)
    assert [(one.account, one.name) for one in found] == [("ann", "many"), ("ann", "some")] and count == 3
    assert (found[0].inside.waiting, found[0].inside.in_hand, found[0].inside.oldest) == (3, 2, q.now)
    assert found[0].lately.came == 0, "this window has not ended"
    found, _ = keeper.read(overview.queues, q.now + overview.WINDOW, 2)
    assert (found[0].lately.came, found[1].lately.came) == (5, 3)


def test_the_size_of_the_database(db: Database) -> None:
    assert Keeper(db).read(overview.database_size) > 4096
