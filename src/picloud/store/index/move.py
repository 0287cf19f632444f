"""Renaming and copying of objects and folders. No bytes move: rows get other keys, or name the same blobs once more.

    rename(tx, account, tree, key, to, replace, keep) -> list[Object]
    copy(tx, account, source, key, target, to, now, quota)

A key stands for the object of that name or, if there is none, for the folder. Open files follow a renamed object.
"""

from __future__ import annotations

from sqlalchemy import Connection, Integer, bindparam, func, update

from picloud.store.index import folder as folders
from picloud.store.index import object as store
from picloud.store.index import tree as trees
from picloud.store.index.object import reach
from picloud.store.index.schema import Key, objects
from picloud.store.rows import Listed, as_list, run
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.object import New, Object, check_key


def rename(tx: Connection, account: int, tree: int, key: str, to: str, replace: bool, keep: int = 0) -> list[Object]:
    """Give an object or a folder another key.

    Args:
        replace: what is at ``to`` goes: an object for an object, an empty folder for a folder.
        keep: epoch ms; where it is given, the folder that it leaves stays though it is empty then.

    Returns:
        The object as it is now; nothing for a folder.

    Raises:
        NotFound: there is nothing of that name.
        Conflict: something is at ``to`` that does not go, or above it is an object.
        BadRequest: a folder would come to lie in itself, or a key become too long.
    """
    trees.lock(tx, tree)
    if key == to:
        _found(tx, tree, key)
        return store.find(tx, tree, [key])
    if found := store.find(tx, tree, [key]):
        if keep:
            store.keep_folders(tx, tree, found, keep)
        _clear(tx, account, tree, to, replace, folder=False)
        store.check_room(tx, tree, [to])
        run(tx, _RENAME, ids=as_list([found[0].id]), cut=len(key) + 1, to=to)
        return store.find(tx, tree, [to])
    inside = _inside(tx, tree, key, to)
    _clear(tx, account, tree, to, replace, folder=True)
    store.check_room(tx, tree, [f"{to}/"])
    low, high = reach(key)
    for one in inside:
        _fits(one.key, key, to)
    run(tx, _RENAME_BELOW, tree=tree, low=low, high=high, cut=len(key) + 1, to=to)
    if keep and "/" in key:
        store.add_folder(tx, tree, key.rpartition("/")[0], keep)
    return []


def copy(tx: Connection, account: int, source: int, key: str, target: int, to: str, now: int, quota: int = 0) -> int:
    """Have an object, or all of a folder, a second time; what is at the new keys is replaced. How many objects.

    Raises:
        NotFound: there is nothing of that name.
        Conflict: a new key is a folder, or below an object.
        BadRequest: a folder would come to lie in itself, or a key become too long.
        StorageFull: above the quota.
    """
    trees.lock(tx, target)
    found = store.find(tx, source, [key]) or _inside(tx, source, key, to if source == target else "")
    found = [one for one in found if not one.key.endswith("/")]
    if source == target and key == to:
        return len(found)
    bytes_of = store.contents(tx, [one.id for one in found])
    made = []
    for one in found:
        held = bytes_of[one.id]
        data, extents = (held, []) if isinstance(held, bytes) else (None, held)
        made.append(New(_fits(one.key, key, to), one.size, one.md5, one.headers, data, extents))
    if made:
        store.put(tx, account, target, made, now, quota)
    else:
        folders.make(tx, target, to, now)
    return len(made)


def _found(tx: Connection, tree: int, key: str) -> None:
    if not store.find(tx, tree, [key]) and not store.below(tx, tree, key):
        raise NotFound(
            f"there is no object or folder {key[:200]!r}", key=key[:200], hint="picloud bucket list shows what is there"
        )


def _inside(tx: Connection, tree: int, key: str, to: str) -> list[Object]:
    """What lies in a folder that is to lie at ``to``."""
    found = store.below(tx, tree, key)
    if not found:
        raise NotFound(
            f"there is no object or folder {key[:200]!r}", key=key[:200], hint="picloud bucket list shows what is there"
        )
    if f"{to}/".startswith(f"{key}/"):
        raise BadRequest(f"folder {key!r} cannot lie in itself", key=key, to=to)
    return found


def _fits(whole: str, key: str, to: str) -> str:
    """The new key of something at or below ``key``."""
    return check_key(to + whole[len(key) :], folder=True)


def _clear(tx: Connection, account: int, tree: int, to: str, replace: bool, folder: bool) -> None:
    """Take away what a rename replaces."""
    there = store.find(tx, tree, [f"{to}/"] if folder else [to])
    if there and not replace:
        raise Conflict(f"{to!r} is there already", key=to)
    if folder and store.find(tx, tree, [to]):
        raise Conflict(f"{to!r} is an object, not a folder", key=to)
    if folder and any(one.key != f"{to}/" for one in store.below(tx, tree, to)):
        raise Conflict(f"the folder {to!r} is not empty", key=to, hint="choose another name, or remove it")
    store.drop(tx, account, tree, there)


_ids = Listed("ids")
_cut = bindparam("cut", type_=Integer)
_new_key = bindparam("to", type_=Key) + func.substr(objects.c.key, _cut)
_RENAME = update(objects).where(objects.c.id.in_(_ids.chosen())).values(key=_new_key)
_RENAME_BELOW = (
    update(objects)
    .where(
        objects.c.tree == bindparam("tree"),
        objects.c.key >= bindparam("low", type_=Key),
        objects.c.key < bindparam("high", type_=Key),
    )
    .values(key=_new_key)
)
