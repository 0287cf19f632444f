"""Volumes: trees with a name and a place where jobs see them.

create(tx, account, made: Volume, now)      Conflict: the name is taken
listing(tx, account, names) -> list         NotFound names the first that is not there
numbers(tx, account, names) -> list[int]    their trees, as kinds name them; of_numbers(..) the other way round
delete_one(tx, account, name)               with all that is in it; NotFound
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from picloud.store.index import object as store
from picloud.store.index import tree as trees
from picloud.store.index.schema import tree
from picloud.store.rows import add, run
from picloud.wire.error import Conflict, NotFound
from picloud.wire.volume import Volume


def create(tx: Connection, account: int, made: Volume, now: int) -> None:
    """A new, empty volume; its words are checked already.

    Raises:
        Conflict: the account has one of that name, or one at that mount path.
    """
    for one in listing(tx, account, []):
        if one.mount == made.mount and one.name != made.name:
            raise Conflict(
                f"volume {one.name!r} is mounted at {made.mount} already", volume=one.name, hint="choose another mount path"
            )
    added = run(tx, _ADD, account=account, name=made.name, mount=made.mount, description=made.description, host=made.host,
                read_only=int(made.read_only), created=now)  # fmt: skip
    if not added.rowcount:
        raise Conflict(f"there is a volume {made.name!r} already", volume=made.name, hint="picloud volume list shows yours")


def listing(tx: Connection, account: int, names: Sequence[str]) -> list[Volume]:
    """The account's volumes by name, or those that are named.

    Raises:
        NotFound: one of them is not there.
    """
    rows = run(tx, _EVERY, account=account).fetchall()
    found = {row[0]: _volume(*row) for row in rows}
    for name in names:
        if name not in found:
            raise NotFound(f"there is no volume {name[:80]!r}", hint="picloud volume list shows yours", volume=name[:80])
    return [found[name] for name in names] if names else list(found.values())


def _volume(name: str, mount: str, created: int, description: str, host: str, read_only: int, count: int, size: int) -> Volume:
    return Volume(name, mount, created, description, host, bool(read_only), count, size)


def numbers(tx: Connection, account: int, names: Sequence[str]) -> list[int]:
    """The trees of volumes.

    Raises:
        NotFound: names the first that is not there.
    """
    listing(tx, account, names)
    return [trees.number(tx, account, name) for name in names]


def of_numbers(tx: Connection, account: int, wanted: Sequence[int]) -> list[Volume]:
    """The volumes with these trees.

    Raises:
        NotFound: one of them was deleted.
    """
    names = dict(run(tx, _NAMES, account=account).fetchall())
    for number in wanted:
        if number not in names:
            raise NotFound("a volume of the job was deleted", hint="make it again, and submit the job again")
    return listing(tx, account, [names[number] for number in wanted])


def delete_one(tx: Connection, account: int, name: str) -> None:
    """Remove a volume with all that is in it. What it showed of the host stays.

    Raises:
        NotFound: no such volume.
    """
    listing(tx, account, [name])
    number = trees.number(tx, account, name)
    store.remove_below(tx, account, number, "")
    run(tx, _DELETE, id_=number)


_ADD = add(tree)
_EVERY = (
    select(*(tree.c[name] for name in ("name", "mount", "created", "description", "host", "read_only", "objects", "bytes")))
    .where(tree.c.account == bindparam("account"), tree.c.name != "")
    .order_by(tree.c.name)
)
_NAMES = select(tree.c.id, tree.c.name).where(tree.c.account == bindparam("account"))
_DELETE = delete(tree).where(tree.c.id == bindparam("id_"))
