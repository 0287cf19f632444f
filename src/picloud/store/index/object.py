"""Objects: putting, finding, removing, publishing them.

    put(tx, account, tree, made, now, quota) -> list[Object]
    find(tx, tree, keys) -> list[Object]                 those that are there
    contents(tx, ids) -> dict[id, bytes | list[Extent]]
    remove(tx, account, tree, keys, keep) -> list[Object]      what was removed
    remove_below(tx, account, tree, folder) -> int
    find_ids(tx, tree, ids) -> list[Object]
    publish(tx, tree, key, public, headers, reset) -> Object
    mark(tx, tree, id, headers) -> Object
    learn(tx, id, version, md5)

Each is one transaction and touches a tree under its lock. An object keeps its id when it is put again or renamed; each
content has a version of its own. ``now`` is epoch ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import Connection, SmallInteger, Text, bindparam, delete, literal_column, select, update

from picloud.store import blob as blobs
from picloud.store.index import repeat
from picloud.store.index import tree as trees
from picloud.store.index.schema import Key, content, extent, objects
from picloud.store.rows import Listed, add, as_list, from_json, run, run_rows, to_json
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.object import MODE, MTIME, Extent, New, Object, check_headers

_LASTING = ("content-type", "content-encoding", MTIME, MODE)
"""Headers that say what an object is, not how it is to be served."""
PUBLIC = "public"
"""Stands in :class:`Object` for the URL, which only the server knows."""


def put(tx: Connection, account: int, tree: int, made: Sequence[New], now: int, quota: int = 0) -> list[Object]:
    """Store objects, all or none. Their keys, sizes and headers are checked already.

    Args:
        quota: bytes that the account may store; 0 = no limit.

    Returns:
        The objects, in order; for a repeat of an earlier put, the version that it made.

    Raises:
        BadRequest: a piece reaches beyond its blob.
        Conflict: a key is a folder, or below an object; or another version is there than ``match`` says.
        NotFound: a blob is not a live one of the account.
        StorageFull: above the quota.
    """
    trees.lock(tx, tree)
    made = _located(tx, tree, made)
    keys = [one.key for one in made]
    there = check_room(tx, tree, keys)
    done = repeat.known(tx, there, made)
    wanted = [one for one in made if one.key not in done]
    _refer(tx, account, wanted, now)
    for one in wanted:
        _check_match(one, there.get(one.key))
    old = [there[one.key] for one in wanted if one.key in there]
    repeat.keep(tx, [one.id for one in old], now)
    _drop_contents(tx, [one.id for one in old])
    found = there | _write_rows(tx, tree, wanted, there, now)
    _write_contents(tx, wanted, found)
    growth = sum(one.size for one in wanted) - sum(one.size for one in old)
    trees.grow(tx, account, tree, len(wanted) - len(old), growth, quota)
    return [done.get(key) or found[key] for key in keys]


def _located(tx: Connection, tree: int, made: Sequence[New]) -> Sequence[New]:
    """The same, those that are named by their ids with the keys that these have now."""
    if not any(one.id for one in made):
        return made
    keys = {one.id: one.key for one in find_ids(tx, tree, [one.id for one in made if one.id])}
    for one in made:
        if one.id and one.id not in keys:
            raise NotFound(f"the object that was {one.key[:200]!r} has been removed", key=one.key[:200], id=one.id)
    found = [structs.replace(one, key=keys[one.id]) if one.id else one for one in made]
    if len({one.key for one in found}) != len(found):
        raise BadRequest("an object is there twice in one put")
    return found


def check_room(tx: Connection, tree: int, keys: Sequence[str]) -> dict[str, Object]:
    """A key cannot also be a folder, in either order. What is there under these keys."""
    above = {key[:at] for key in keys for at, letter in enumerate(key) if letter == "/"} if "/" in "".join(keys) else set()
    for key in keys:
        if key in above:
            raise Conflict(f"{key!r} would be an object and a folder at once", key=key)
    there = {one.key: one for one in find(tx, tree, [*keys, *above])}
    for key in above & there.keys():
        raise Conflict(f"{key!r} is an object, so nothing can lie below it", key=key,
                       hint="remove or rename it, or choose another key")  # fmt: skip
    if fresh := [key for key in keys if key not in there]:
        taken = run(tx, _FOLDERS, tree=tree, keys=as_list(fresh)).fetchone()
        if taken is not None:
            raise Conflict(f"{taken[0]!r} is a folder", key=taken[0], hint="choose another key, or remove the folder")
    return there


def _refer(tx: Connection, account: int, made: Sequence[New], now: int) -> None:
    """Hold the blobs of objects, which lie within them."""
    pieces = [(one.key, piece) for one in made for piece in one.extents]
    if not pieces:
        return
    names = {piece.blob for _, piece in pieces}
    blobs.refer(tx, account, names, now)
    size = blobs.sizes(tx, names)
    for key, piece in pieces:
        if piece.start + piece.length > size[piece.blob]:
            raise BadRequest(f"{key!r}: its bytes {piece.start} to {piece.start + piece.length} of a blob of {size[piece.blob]}",
                             key=key, hint="send it again")  # fmt: skip


def _check_match(one: New, there: Object | None) -> None:
    if one.match is not None and one.match != (there.etag if there else ""):
        found = f"version {there.etag} is there" if there else "there is none"
        raise Conflict(f"{one.key!r} is not the version that was to be replaced: {found}", key=one.key,
                       etag=there.etag if there else "", hint="get it again, then decide")  # fmt: skip


def _write_rows(tx: Connection, tree: int, made: Sequence[New], there: Mapping[str, Object], now: int) -> dict[str, Object]:
    """The objects as they are then, by key."""
    fresh, known, found = [], [], dict[str, Object]()
    for one in made:
        headers = to_json(one.headers).decode() if one.headers else "{}"
        if (old := there.get(one.key)) is None:
            fresh.append({"tree": tree, "key": one.key, "created": now, "size": one.size, "md5": one.md5, "headers": headers,
                          "token": one.token, "modified": now})  # fmt: skip
            found[one.key] = Object(one.key, 0, 1, one.size, now, now, one.md5, "", one.headers)
        else:
            known.append({"size_": one.size, "md5_": one.md5, "headers_": headers, "token_": one.token, "modified_": now,
                          "id_": old.id})  # fmt: skip
            found[one.key] = Object(
                one.key, old.id, old.version + 1, one.size, old.created, now, one.md5, old.public, one.headers
            )
    run_rows(tx, _ADD, fresh)
    run_rows(tx, _CHANGE, known)
    if fresh:
        for key, number in run(tx, _NUMBERS, tree=tree, keys=as_list([row["key"] for row in fresh])).fetchall():
            found[key].id = number
    return found


def _write_contents(tx: Connection, made: Sequence[New], found: Mapping[str, Object]) -> None:
    run_rows(tx, _ADD_CONTENT, [{"object": found[one.key].id, "data": one.data} for one in made if one.data])
    pieces = []
    for one in made:
        at = 0
        for piece in one.extents:
            pieces.append(
                {"object": found[one.key].id, "at": at, "blob": piece.blob, "start": piece.start, "length": piece.length}
            )
            at += piece.length
    run_rows(tx, _ADD_EXTENT, pieces)


def _drop_contents(tx: Connection, ids: Sequence[int]) -> None:
    if ids:
        listed = as_list(ids)
        run(tx, _DROP_CONTENT, ids=listed)
        run(tx, _DROP_EXTENTS, ids=listed)


def find(tx: Connection, tree: int, keys: Iterable[str]) -> list[Object]:
    """Those of these objects that are there."""
    return [row_of(row) for row in run(tx, _FIND, tree=tree, keys=as_list(sorted(set(keys)))).fetchall()]


def find_ids(tx: Connection, tree: int, ids: Iterable[int]) -> list[Object]:
    """Those of the objects with these ids that are there."""
    return [row_of(row) for row in run(tx, _FIND_IDS, tree=tree, ids=as_list(sorted(set(ids)))).fetchall()]


def row_of(row: Sequence[Any]) -> Object:
    """An object from :data:`COLUMNS`."""
    key, number, version, size, created, modified, md5, public, headers = row
    return Object(key, number, version, size, created, modified, md5, PUBLIC if public else "", from_json(headers))


def get(tx: Connection, tree: int, key: str) -> Object:
    """One object.

    Raises:
        NotFound: there is none.
    """
    found = find(tx, tree, [key])
    if not found:
        raise NotFound(f"there is no object {key[:200]!r}", key=key[:200], hint="picloud bucket list shows what is there")
    return found[0]


def contents(tx: Connection, ids: Sequence[int]) -> dict[int, bytes | list[Extent]]:
    """The bytes of objects, or where they are; an object without bytes has no extents."""
    listed = as_list(ids)
    found: dict[int, bytes | list[Extent]] = {number: [] for number in ids}
    found |= {number: bytes(data) for number, data in run(tx, _CONTENT, ids=listed).fetchall()}
    for number, *piece in run(tx, _EXTENTS, ids=listed).fetchall():
        pieces = found[number]
        assert isinstance(pieces, list)
        pieces.append(Extent(*piece))
    return found


def remove(tx: Connection, account: int, tree: int, keys: Iterable[str], keep: int = 0) -> list[Object]:
    """Remove objects; those that were there. Their blobs are the sweeper's from then on.

    Args:
        keep: epoch ms; where it is given, folders that become empty stay.
    """
    trees.lock(tx, tree)
    found = find(tx, tree, keys)
    if keep:
        keep_folders(tx, tree, found, keep)
    drop(tx, account, tree, found)
    return found


def keep_folders(tx: Connection, tree: int, leaving: Iterable[Object], now: int) -> None:
    """Have a row of its own for each folder that objects are about to leave."""
    for folder in sorted({one.key.removesuffix("/").rpartition("/")[0] for one in leaving} - {""}):
        add_folder(tx, tree, folder, now)


def add_folder(tx: Connection, tree: int, key: str, now: int) -> None:
    """Write the row of a folder, if it has none; under the tree's lock."""
    run(tx, _ADD_FOLDER, tree=tree, key=f"{key}/", size=0, token=b"", created=now, modified=now)


def remove_below(tx: Connection, account: int, tree: int, folder: str) -> int:
    """Remove all that lies below a folder, and the folder; "" = everything. How many objects."""
    trees.lock(tx, tree)
    found = below(tx, tree, folder)
    drop(tx, account, tree, found)
    return sum(not one.key.endswith("/") for one in found)


def below(tx: Connection, tree: int, folder: str, limit: int = 1 << 62) -> list[Object]:
    """The first rows below a folder, that of the folder itself among them."""
    low, high = reach(folder)
    return [row_of(row) for row in run(tx, _BELOW, tree=tree, low=low, high=high, limit=limit).fetchall()]


def reach(folder: str) -> tuple[str, str]:
    """From where to where (exclusive) the keys below a folder lie; "" = all."""
    return (f"{folder}/", f"{folder}0") if folder else ("", "\U0010ffff")  # 0 is the letter behind /


def drop(tx: Connection, account: int, tree: int, gone: Sequence[Object]) -> None:
    """Remove rows, under the tree's lock."""
    if gone:
        ids = [one.id for one in gone]
        _drop_contents(tx, ids)
        run(tx, _DROP, ids=as_list(ids))
        trees.grow(tx, account, tree, -sum(not one.key.endswith("/") for one in gone), -sum(one.size for one in gone))


def publish(tx: Connection, tree: int, key: str, public: bool, headers: Mapping[str, str], reset: bool) -> Object:
    """Let everybody get an object under its URL, or nobody any more.

    Args:
        headers: to be served with it, in addition to those it has.
        reset: take those away first that are not its type and encoding.

    Raises:
        NotFound: there is no such object.
    """
    trees.lock(tx, tree)
    found = get(tx, tree, key)
    kept = {name: value for name, value in found.headers.items() if not reset or name in _LASTING}
    found = structs.replace(found, headers=kept | dict(headers), public=PUBLIC if public else "")
    return _dressed(tx, found)


def mark(tx: Connection, tree: int, number: int, headers: Mapping[str, str]) -> Object:
    """Change headers of an object; "" takes one away.

    Raises:
        NotFound: there is no such object.
        BadRequest: it would have too many.
    """
    trees.lock(tx, tree)
    there = find_ids(tx, tree, [number])
    if not there:
        raise NotFound("the object was removed meanwhile", id=number)
    all_of_them = check_headers(there[0].headers | dict(headers))
    return _dressed(tx, structs.replace(there[0], headers={name: value for name, value in all_of_them.items() if value}))


def _dressed(tx: Connection, one: Object) -> Object:
    run(tx, _DRESS, id_=one.id, public=int(bool(one.public)), headers=to_json(one.headers).decode())
    return one


def learn(tx: Connection, number: int, version: int, md5: str) -> None:
    """Keep the md5 of a version that somebody has computed."""
    run(tx, _LEARN, id_=number, version_=version, md5=md5)


_ids, _keys = Listed("ids"), Listed("keys")
_tree = objects.c.tree == bindparam("tree")
_chosen = objects.c.id.in_(_ids.chosen())
COLUMNS = tuple(objects.c[name] for name in ("key", "id", "version", "size", "created", "modified", "md5", "public", "headers"))
_FIND = select(*COLUMNS).where(_tree, objects.c.key.in_(_keys.chosen(Text)))
_NUMBERS = select(objects.c.key, objects.c.id).where(_tree, objects.c.key.in_(_keys.chosen(Text)))
_FIND_IDS = select(*COLUMNS).where(_tree, _chosen)
_BELOW = (
    select(*COLUMNS)
    .where(_tree, objects.c.key >= bindparam("low", type_=Key), objects.c.key < bindparam("high", type_=Key))
    .order_by(objects.c.key)
    .limit(bindparam("limit"))
)
_given = _keys.only(Text)
_below = (  # with an order and a limit: PostgreSQL would make a join of EXISTS, which looks at all objects for each key
    select(objects.c.id)
    .where(_tree, objects.c.key >= _given + "/", objects.c.key < _given + "0")
    .order_by(objects.c.key)
    .limit(literal_column("1"))
    .scalar_subquery()
)
_FOLDERS = select(_given).select_from(_keys.table).where(_below.is_not(None)).limit(literal_column("1"))
_CHANGE = (
    update(objects)
    .where(objects.c.id == bindparam("id_"))
    .values(
        version=objects.c.version + 1,
        size=bindparam("size_"),
        md5=bindparam("md5_"),
        headers=bindparam("headers_"),
        token=bindparam("token_"),
        modified=bindparam("modified_"),
    )  # fmt: skip
)
_CONTENT = select(content.c.object, content.c.data).where(content.c.object.in_(_ids.chosen()))
_EXTENTS = (
    select(extent.c.object, extent.c.blob, extent.c.start, extent.c.length)
    .where(extent.c.object.in_(_ids.chosen()))
    .order_by(extent.c.object, extent.c.at)
)
_ADD_FOLDER, _ADD, _ADD_CONTENT, _ADD_EXTENT = add(objects), add(objects), add(content), add(extent)
_DRESS = (
    update(objects)
    .where(objects.c.id == bindparam("id_"))
    .values(public=bindparam("public", type_=SmallInteger), headers=bindparam("headers", type_=Text))
)
_LEARN = (
    update(objects)
    .where(objects.c.id == bindparam("id_"), objects.c.version == bindparam("version_"), objects.c.md5 == "")
    .values(md5=bindparam("md5", type_=Text))
)
_DROP = delete(objects).where(_chosen)
_DROP_CONTENT = delete(content).where(content.c.object.in_(_ids.chosen()))
_DROP_EXTENTS = delete(extent).where(extent.c.object.in_(_ids.chosen()))
