"""Stored calls by their labels.

put(tx, account, sort, asked, host, env, now) -> (id, missing)    one of that label is replaced
find(tx, account, sort, label) -> Call                            NotFound
every(tx, account, sort) -> list[Call]
remove(tx, account, sort, label) -> int                           NotFound; its id
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, insert, select, update

from picloud.store.base import near
from picloud.store.call import stored
from picloud.store.call.schema import call
from picloud.store.rows import one, pack, run, text
from picloud.wire.call import Register, Sort
from picloud.wire.error import NotFound
from picloud.wire.message import Submit

_decode = msgspec.msgpack.Decoder(Submit).decode


class Call(NamedTuple):
    """A row."""

    id: int
    account: int
    sort: int
    label: str
    name: str
    host: str
    env: str | None
    description: str
    machine: str
    created: int
    submit: Submit


def put(tx: Connection, account: int, sort: Sort, asked: Register, host: str, env: str | None, now: int) -> tuple[int, list[str]]:
    """Keep a call; one of the same label is replaced, and keeps its number.

    Args:
        host, env: as for :func:`stored.keep`.

    Returns:
        Its number, or 0 and the digests of code that is missing.

    Raises:
        NotFound, Conflict, Skew: no such environment or volume, or it does not fit.
    """
    if missing := stored.keep(tx, account, asked.submit, host, env, now):
        return 0, missing
    values = {
        "name": asked.submit.name, "submit": pack(stored.bare(asked.submit)), "host": host, "env": env,
        "description": text(asked.description), "machine": text(asked.host), "created": now,
    }  # fmt: skip
    found = one(tx, _LOCK, account=account, sort=int(sort), label=asked.label)
    if found is None:
        row = tx.execute(insert(call).returning(call.c.id), {"account": account, "sort": sort, "label": asked.label, **values})
        return int(row.scalar_one()), []
    tx.execute(update(call).where(call.c.id == found[0]).values(values))
    return int(found[0]), []


def find(tx: Connection, account: int, sort: Sort, label: str) -> Call:
    """One call.

    Raises:
        NotFound: there is none of that label.
    """
    row = one(tx, _FIND, account=account, sort=int(sort), label=label)
    if row is None:
        hint = near(label, [each.label for each in every(tx, account, sort)], f"cloud.{sort.name}.list() tells the labels")
        raise NotFound(f"there is no {sort.name} {label[:80]!r}", label=label[:80], hint=hint)
    return as_call(row)


def every(tx: Connection, account: int, sort: Sort) -> list[Call]:
    """All calls of an account, by label."""
    return [as_call(row) for row in run(tx, _EVERY, account=account, sort=int(sort)).fetchall()]


def remove(tx: Connection, account: int, sort: Sort, label: str) -> int:
    """Forget a call; its number. Jobs that it has made run on.

    Raises:
        NotFound: there is none of that label.
    """
    found = find(tx, account, sort, label)
    run(tx, _REMOVE, id_=found.id)
    return found.id


def as_call(row: Any) -> Call:
    """A row of COLUMNS."""
    *columns, data = row
    return Call._make([*columns, _decode(bytes(data))])


COLUMNS = tuple(call.c[name] for name in Call._fields)
_of = (call.c.account == bindparam("account", type_=BigInteger), call.c.sort == bindparam("sort", type_=BigInteger))
_label = call.c.label == bindparam("label", type_=Text)
_LOCK = select(call.c.id).where(*_of, _label).with_for_update()
_FIND = select(*COLUMNS).where(*_of, _label)
_EVERY = select(*COLUMNS).where(*_of).order_by(call.c.label)
_REMOVE = delete(call).where(call.c.id == bindparam("id_", type_=BigInteger))
