"""Accounts that are removed: all that they had goes, nothing of anybody else's does, and what is on record stays."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import BigInteger, Connection, Integer, LargeBinary, SmallInteger, Table, func, insert, select

from picloud.store import account, blob, removal, retention
from picloud.store.account import removal as accounts
from picloud.store.account import user
from picloud.store.act import kill
from picloud.store.db import Database
from picloud.store.index import object as objects
from picloud.store.index import tree
from picloud.store.queue import exchange
from picloud.store.queue import queue as queues
from picloud.store.schema import counter
from picloud.store.tables import metadata
from picloud.wire.error import Conflict, NotAuthorized, NotFound
from picloud.wire.object import Extent, New
from picloud.wire.queue import Body, Push
from picloud.wire.scope import Role
from tests.contract.store.storekeeper import Keeper, done

OWNED = [table for table in metadata.sorted_tables if "account" in table.c and table.name != "account"]


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


@pytest.fixture
def bob(db: Database, ann: Keeper) -> Keeper:
    return Keeper(db, "bob")


def rows(tx: Connection) -> dict[str, int]:
    """How many rows each table has."""
    return {table.name: tx.execute(select(func.count()).select_from(table)).scalar_one() for table in metadata.sorted_tables}


def of(table: Table, number: int) -> Any:
    return lambda tx: tx.execute(select(func.count()).select_from(table).where(table.c.account == number)).scalar_one()


def invented(table: Table, number: int) -> dict[str, Any]:
    """A row of any table, the plainest that it takes."""
    values: dict[str, Any] = {}
    for column in table.columns:
        if column is table.autoincrement_column or column.nullable:
            continue
        if isinstance(column.type, (BigInteger, Integer, SmallInteger)):
            values[column.name] = number if column.name == "account" else 0
        else:
            values[column.name] = b"x" if isinstance(column.type, LargeBinary) else "x"
    return values


def remove(keeper: Keeper) -> None:
    keeper.write(account.switch, keeper.account, False)

    def act(tx: Connection) -> None:
        accounts.begin(tx, keeper.account, keeper.tick())
        removal.stop(tx, keeper.account, keeper.now)

    keeper.write(act)


def clear(keeper: Keeper) -> bool:
    """What the server does in one round; whether something is left."""
    keeper.write(removal.stop, keeper.account, keeper.tick())
    while keeper.write(kill.kill, keeper.account, None, keeper.tick())[0].more:
        pass
    after: int | None = 0
    while after is not None:
        after = keeper.write(removal.jobs, keeper.account, after)
    for bite in removal.BITES:
        while keeper.write(bite, keeper.account):
            pass
    return bool(keeper.read(removal.is_left, keeper.account))


def busy(keeper: Keeper) -> int:
    """Jobs that are done, in hand, waiting and never sent; a queue; objects. The worker that holds one."""
    signing = metadata.tables["webhook"]
    keeper.write(lambda tx: tx.execute(insert(signing), invented(signing, keeper.account) | {"label": ""}) and None)
    keeper.map(4, 3, webhook="https://example.org/")
    worker = keeper.worker()
    leases = keeper.take(worker, 2, kind=keeper.kind())
    keeper.start(worker, *leases)
    keeper.finish(worker, done(leases[0]))
    keeper.write(exchange.push, keeper.account, Push(bytes(16), "tasks", [Body(0, b"1"), Body(0, b"2" * 5000)]), keeper.tick())
    (name,) = keeper.write(blob.new, keeper.account, [7], keeper.now)
    keeper.write(blob.arrived, name, 7, keeper.now)

    def put(tx: Connection) -> None:
        made = [New("small", 1, "", {}, b"1"), New("a/large", 7, "", {}, None, [Extent(name, 0, 7)])]
        objects.put(tx, keeper.account, tree.bucket(tx, keeper.account, keeper.now), made, keeper.now)

    keeper.write(put)
    return worker


def test_every_table_that_tells_an_account_is_emptied_or_kept(db: Database) -> None:
    left = set()
    for at, table in enumerate(OWNED):
        one = Keeper(db, f"owner{at}")
        if table.name in ("job", "submission"):  # rows of both, or of none
            one.map(2)
        else:
            one.write(lambda tx, table=table, one=one: tx.execute(insert(table), invented(table, one.account)) and None)
        assert one.read(of(table, one.account)), table.name
        remove(one)
        assert not clear(one), table.name
        if one.read(of(table, one.account)):
            left.add(table.name)
    newest = {"submission"}  # one stays for its number, and tells nothing
    assert left == (removal.KEPT - {"account"}) | removal.SWEPT | newest


def test_nothing_of_it_is_left_and_everything_of_another_account(ann: Keeper, bob: Keeper) -> None:
    busy(bob)
    before = bob.read(rows)
    worker = busy(ann)
    remove(ann)
    assert clear(ann)  # a job is in a worker's hands
    ann.revoke(worker)
    assert not clear(ann)
    bob.map(1)  # now hers is not the newest submission any more
    assert not clear(ann)
    after = bob.read(rows)
    added = {"submission", "job", "argument", *removal.KEPT, *removal.SWEPT, "worker"}
    assert {name: after[name] for name in after if name not in added} == {n: before[n] for n in before if n not in added}
    assert after["submission"] == before["submission"] + 1 and after["job"] == before["job"] + 1
    assert bob.read(queues.find, bob.account, "tasks").size == 2
    assert [one.key for one in bob.read(lambda tx: objects.below(tx, tree.of_owner(tx, "bob"), ""))] == ["a/large", "small"]
    assert not bob.read(lambda tx: tx.execute(select(counter.c.name).where(counter.c.name.like("closing%"))).all())


def test_its_lines_of_the_ledger_stay_under_its_name_and_number(ann: Keeper) -> None:
    worker = busy(ann)
    remove(ann)
    ann.revoke(worker)
    assert not clear(ann)
    lines = ann.read(lambda tx: tx.execute(select(metadata.tables["attempt"].c.jid)).scalars().all())
    assert len(lines) == 2
    assert ann.read(account.get, ann.account).name == f"ann~{ann.account}"
    ann.write(accounts.clear, ann.account, ann.tick())
    assert not ann.read(accounts.going) and [one.name for one in ann.read(lambda tx: accounts.going(tx, cleared=True))] == ["ann"]


def test_bites_are_bounded(ann: Keeper) -> None:
    ann.map(7)
    remove(ann)
    ann.kill(None)
    jobs, left, after = metadata.tables["job"], [], 0
    while after is not None:
        after = ann.write(lambda tx, at=after: removal.jobs(tx, ann.account, at, 3))
        left.append(ann.read(of(jobs, ann.account)))
    assert left == [4, 1, 0, 0]
    assert retention.newest and not clear(ann)


def test_only_one_that_is_switched_off_goes_and_once(ann: Keeper) -> None:
    with pytest.raises(Conflict):
        ann.write(accounts.begin, ann.account, 1)
    remove(ann)
    for number in (ann.account, 4711):
        with pytest.raises(NotFound):
            ann.write(accounts.begin, number, 1)
    with pytest.raises(NotFound):
        ann.read(account.by_name, "ann")
    assert ann.read(account.every) == [] and ann.read(account.closed) == {ann.account}


def test_keys_and_people_end_at_once_and_names_are_free(ann: Keeper, bob: Keeper) -> None:
    key, secret = ann.write(account.key_create, ann.account, 1)
    token = ann.write(account.session_create, ann.account, 0, 1, 1 << 40)
    alone, both = (ann.write(user.create, name, f"{name}@example.org", 1, "argon2") for name in ("anna", "carol"))
    for number in (alone, both):
        ann.write(user.set_role, ann.account, number, Role.owner, 1)
    bob.write(user.set_role, bob.account, both, Role.member, 1)
    remove(ann)
    with pytest.raises(NotAuthorized):
        ann.read(account.key_check, key, secret, 2)
    with pytest.raises(NotAuthorized):
        ann.read(account.token_check, token, 2)
    with pytest.raises(NotFound):
        ann.read(user.find, "anna@example.org")
    gone = ann.read(user.get, alone)
    assert (gone.name, gone.email, gone.password) == (f"anna~{alone}", "", "")
    assert ann.read(user.find, "carol").password == "argon2"
    assert [one.account for one in ann.read(user.memberships, both)] == [bob.account]
    ann.write(user.create, "anna", "anna@example.org", 3)
    again = Keeper(ann.db, "ann")
    assert again.account != ann.account and not again.read(tree.of_owner, "ann")


def test_public_objects_are_found_while_the_account_is_on(ann: Keeper) -> None:
    busy(ann)
    found = ann.read(tree.of_owner, "ann")
    assert found
    ann.write(account.switch, ann.account, False)
    assert not ann.read(tree.of_owner, "ann")
    ann.write(account.switch, ann.account, True)
    assert ann.read(tree.of_owner, "ann") == found
    remove(ann)
    assert not ann.read(tree.of_owner, "ann")
