"""Puts and appends that come a second time, since the answer to the first was lost.

    known(tx, there, made) -> dict[key, Object]       those of these puts that were done, with the versions they made
    keep(tx, ids, now)                                 versions are about to be replaced: their puts stay known
    forget(tx, before)                                 what nobody repeats any more

The token of an object's newest version lies in its row. Without those before it, who appends, loses the answer and repeats
would append twice where somebody else came between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs
from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, func, select

from picloud.store.index.schema import former, objects
from picloud.store.rows import Listed, add, as_list, hexed, run
from picloud.wire.object import New, Object

REMEMBERED = 3_600_000
"""Milliseconds for which a put that was replaced is known; no client repeats its question for so long."""


def known(tx: Connection, there: Mapping[str, Object], made: Sequence[New]) -> dict[str, Object]:
    """Those of the puts that were done before: by key, the version that each of them made."""
    asked = {(there[one.key].id, one.token.hex()): one.key for one in made if one.token and one.key in there}
    if not asked:
        return {}
    newest = run(tx, _NEWEST, ids=as_list(number for number, _ in asked)).fetchall()
    found = {key: there[key] for number, token in newest if (key := asked.get((number, bytes(token).hex())))}
    if len(found) < len(asked):
        tokens = as_list(token for _, token in asked)
        for token, number, version, size, md5, modified in run(tx, _FORMER, tokens=tokens).fetchall():
            if key := asked.get((number, token)):
                found[key] = structs.replace(there[key], version=version, size=size, md5=md5, modified=modified)
    return found


def keep(tx: Connection, ids: Sequence[int], now: int) -> None:
    """Remember the puts of the versions that these objects have now, where they are recent."""
    if ids:
        run(tx, _KEEP, ids=as_list(ids), since=now - REMEMBERED)


def forget(tx: Connection, now: int) -> int:
    """Remove what is too old to be repeated; how many rows."""
    return int(run(tx, _FORGET, before=now - REMEMBERED).rowcount)


_ids, _tokens = Listed("ids"), Listed("tokens")
_NEWEST = select(objects.c.id, objects.c.token).where(objects.c.id.in_(_ids.chosen()))
_COLUMNS = ("token", "object", "version", "size", "md5", "modified")
_FORMER = select(*(former.c[name] for name in _COLUMNS)).where(former.c.token.in_(_tokens.chosen(Text)))
_KEEP = add(former).from_select(
    _COLUMNS,
    select(hexed(objects.c.token), objects.c.id, objects.c.version, objects.c.size, objects.c.md5, objects.c.modified).where(
        objects.c.id.in_(_ids.chosen()),
        func.length(objects.c.token) > 0,
        objects.c.modified > bindparam("since", type_=BigInteger),
    ),
)
_FORGET = delete(former).where(former.c.modified < bindparam("before", type_=BigInteger))
