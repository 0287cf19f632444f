"""Trees: the bucket of an account, and its volumes.

bucket(tx, account, now) -> int                     made with its first use
find(tx, account, name) -> int                      "" = the bucket, 0 where it was never used; NotFound
of_owner(tx, owner) -> int                          the bucket of an account by its name; 0 = there is none, or it is off
lock(tx, tree)                                      nobody else changes it until this transaction ends
grow(tx, account, tree, objects, bytes, quota)      StorageFull
used(tx, account) -> (objects, bytes)
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, bindparam, func, select, update

from picloud.store.index.schema import tree
from picloud.store.rows import add, constant, one, run
from picloud.store.schema import account as owners
from picloud.wire.error import BadRequest, NotFound, StorageFull


def bucket(tx: Connection, account: int, now: int) -> int:
    """The account's bucket, made if it is not there."""
    found = one(tx, _FIND, account=account, name="")
    if found is None:
        run(tx, _ADD, account=account, name="", created=now)
        found = one(tx, _FIND, account=account, name="")
    return int(found[0])


def find(tx: Connection, account: int, name: str) -> int:
    """The tree whose objects are asked for; 0 for a bucket that was never used.

    Raises:
        NotFound: no such volume.
        BadRequest: it shows a folder of the host, and has no objects.
    """
    found = one(tx, _FIND, account=account, name=name)
    if found is not None and found[1]:
        raise BadRequest(f"volume {name!r} shows the folder {found[1]} of the server's machine", volume=name,
                         hint="its files are seen in jobs alone (_vol), and there")  # fmt: skip
    return int(found[0]) if found is not None else number(tx, account, name) if name else 0


def number(tx: Connection, account: int, name: str) -> int:
    """The tree of a volume.

    Raises:
        NotFound: no such volume.
    """
    found = one(tx, _FIND, account=account, name=name)
    if found is None:
        raise NotFound(f"there is no volume {name[:80]!r}", hint="picloud volume list shows yours", volume=name[:80])
    return int(found[0])


def of_owner(tx: Connection, owner: str) -> int:
    """The bucket of the account of this name; 0 = there is none, or the account is switched off."""
    found = one(tx, _OF_OWNER, owner=owner)
    return int(found[0]) if found else 0


def ensure(tx: Connection, account: int, name: str, now: int) -> int:
    """A tree to be changed.

    Raises:
        NotFound: no such volume.
    """
    return find(tx, account, name) if name else bucket(tx, account, now)


def lock(tx: Connection, number: int) -> None:
    """Keep others from changing a tree until this transaction ends (SQLite has one writer anyway)."""
    if tx.dialect.name != "sqlite":
        one(tx, _LOCK, id_=number)


def grow(tx: Connection, account: int, number: int, count: int, size: int, quota: int = 0) -> None:
    """Count what a change adds to a tree, or takes away.

    Args:
        quota: bytes that the account's trees may hold together; 0 = no limit.

    Raises:
        StorageFull: more than that.
    """
    run(tx, _GROW, id_=number, count=count, size=size)
    if quota and size > 0:
        _, held = used(tx, account)
        if held > quota:
            raise StorageFull(f"this account may store {quota} bytes and would hold {held}", quota=quota, held=held,
                              hint="remove objects, or have the operator raise storage_quota")  # fmt: skip


def used(tx: Connection, account: int) -> tuple[int, int]:
    """Objects and bytes of all trees of an account."""
    count, size = one(tx, _USED, account=account)
    return int(count), int(size)


_FIND = select(tree.c.id, tree.c.host).where(tree.c.account == bindparam("account"), tree.c.name == bindparam("name"))
_OF_OWNER = (
    select(tree.c.id)
    .join(owners, owners.c.id == tree.c.account)
    .where(owners.c.name == bindparam("owner"), owners.c.active == constant(1), tree.c.name == "")
)
_ADD = add(tree)
_LOCK = select(tree.c.id).where(tree.c.id == bindparam("id_")).with_for_update()
_GROW = (
    update(tree)
    .where(tree.c.id == bindparam("id_"))
    .values(
        objects=tree.c.objects + bindparam("count", type_=BigInteger), bytes=tree.c.bytes + bindparam("size", type_=BigInteger)
    )
)
_USED = select(func.coalesce(func.sum(tree.c.objects), 0), func.coalesce(func.sum(tree.c.bytes), 0)).where(
    tree.c.account == bindparam("account")
)
