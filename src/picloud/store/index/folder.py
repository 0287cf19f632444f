"""Folders as file systems have them: made, removed when empty, and there though nothing lies in them.

    make(tx, tree, key, now, fresh)
    remove(tx, tree, key, now)
    those(tx, tree, keys) -> list[Object]     those of these keys that are folders

A folder is there while something lies below it, or has a row of its own, whose key ends in ``/``.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Connection, Text, bindparam, func, select

from picloud.store.index import object as store
from picloud.store.index import tree as trees
from picloud.store.index.schema import objects
from picloud.store.rows import Listed, as_list, run
from picloud.wire.error import Conflict, NotFound
from picloud.wire.object import Object


def make(tx: Connection, tree: int, key: str, now: int, fresh: bool = False) -> None:
    """Have a folder, perhaps an empty one.

    Args:
        fresh: there must be none yet.

    Raises:
        Conflict: it, or a folder above it, is an object; or it is there, and shall be fresh.
    """
    trees.lock(tx, tree)
    store.check_room(tx, tree, [f"{key}/"])
    if store.find(tx, tree, [key]):
        raise Conflict(f"{key!r} is an object", key=key)
    if fresh and those(tx, tree, [key]):
        raise Conflict(f"the folder {key!r} is there already", key=key)
    store.add_folder(tx, tree, key, now)


def remove(tx: Connection, account: int, tree: int, key: str, now: int) -> None:
    """Remove an empty folder; that around it stays.

    Raises:
        NotFound: there is none.
        Conflict: it is not empty.
    """
    trees.lock(tx, tree)
    found = store.below(tx, tree, key, 2)
    if not found:
        raise NotFound(f"there is no folder {key[:200]!r}", key=key[:200])
    if len(found) > 1 or found[0].key != f"{key}/":
        raise Conflict(f"the folder {key!r} is not empty", key=key)
    store.keep_folders(tx, tree, found, now)
    store.drop(tx, account, tree, found)


def those(tx: Connection, tree: int, keys: Iterable[str]) -> list[Object]:
    """Those of these keys that are folders, as objects with a ``/`` behind their keys."""
    rows = run(tx, _THOSE, tree=tree, keys=as_list(sorted(set(keys)))).fetchall()
    return [Object(f"{key}/", 0, 0, 0, made, made) for key, made in rows if made is not None]


_keys = Listed("keys")
_given = _keys.only(Text)
_made = (
    select(func.min(objects.c.created, type_=BigInteger))
    .where(objects.c.tree == bindparam("tree"), objects.c.key >= _given + "/", objects.c.key < _given + "0")
    .scalar_subquery()
)
_THOSE = select(_given, _made).select_from(_keys.table)
