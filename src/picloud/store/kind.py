"""Kinds: what decides which worker may run a job. Rows are made once and never change.

ensure(tx, account, core_type, cores, env="", vol="") -> int    the kind's id
FIND                                                a query: the id of such a kind
get(tx, kind) -> Kind                               NotFound
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from sqlalchemy import Connection, bindparam, select

from picloud.store.rows import add, one
from picloud.store.schema import kind
from picloud.wire.error import NotFound


class Kind(Struct, frozen=True):
    """One kind of worker."""

    id: int
    account: int
    core_type: str
    cores: int
    env: str  # its image, see :mod:`picloud.store.image`
    vol: str = ""  # numbers of its volumes, see :func:`volumes`


def ensure(tx: Connection, account: int, core_type: str, cores: int, env: str = "", vol: str = "") -> int:
    """The id of the kind, which is made where it is new."""
    key: dict[str, object] = {"account": account, "core_type": core_type, "cores": cores, "env": env, "vol": vol}
    found = one(tx, FIND, **key)
    if found is None:
        tx.execute(add(kind), key)
        found = one(tx, FIND, **key)
    return int(found[0])


def text_of(volumes: Iterable[int]) -> str:
    """Numbers of volumes as they stand in a kind: what is the same set is the same kind."""
    return ",".join(map(str, sorted(set(volumes))))


def volumes(text: str) -> list[int]:
    """The numbers of volumes in a kind."""
    return list(map(int, text.split(","))) if text else []


def get(tx: Connection, kind_id: int) -> Kind:
    """The kind of that id.

    Raises:
        NotFound: there is none.
    """
    row = tx.execute(_GET, {"id": kind_id}).one_or_none()
    if row is None:
        raise NotFound(f"there is no kind {kind_id}")
    return Kind(*row)


FIND = select(kind.c.id).where(
    kind.c.account == bindparam("account"), kind.c.core_type == bindparam("core_type"), kind.c.cores == bindparam("cores"),
    kind.c.env == bindparam("env"), kind.c.vol == bindparam("vol"),
)  # fmt: skip
_GET = select(kind.c.id, kind.c.account, kind.c.core_type, kind.c.cores, kind.c.env, kind.c.vol).where(
    kind.c.id == bindparam("id")
)
