"""Bases: root file systems that environments begin with. ``base/host``, the machine's own system, has no row.

add(tx, made: Base, now) -> int
current(tx, account, name) -> Base                  NotFound, with near names
by_id(tx, base) -> Base                             NotFound
every(tx, account) -> list[Base]                    the current ones
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, insert, select, update

from picloud.store.environment_schema import base
from picloud.store.rows import as_list, from_json, to_json
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.image import HOST

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,29}")
PREFIX = "base/"
Packages = list[tuple[str, str, str]]
"""Kind (debian, python, ...), name and version of each."""


class Base(Struct, frozen=True):
    """A root file system."""

    name: str  # without "base/"
    layers: list[str]  # digests, the lowest first
    digest: str
    distro: str = ""  # "Debian 12"
    python: str = ""  # path inside; "" = none
    python_version: str = ""  # "3.11"
    packages: Packages = field(default_factory=list)
    source: str = ""  # how it was made
    size: int = 0  # bytes, compressed
    account: int = 0  # whose; 0 = everybody's
    id: int = 0
    created: int = 0

    @property
    def path(self) -> str:
        """Its name as users write it."""
        return PREFIX + self.name


def add(tx: Connection, made: Base, now: int) -> int:
    """Make a base, in place of the one of that name; environments and jobs that have the old one keep it. Its id.

    Raises:
        BadRequest: no name for a base.
    """
    if not NAME.fullmatch(made.name) or PREFIX + made.name == HOST:
        raise BadRequest(f"{made.name!r} is no name for a base", hint="1 to 30 letters, digits, _ . or -; not host")
    current_ones = update(base).where(base.c.name == made.name, base.c.account == made.account, base.c.replaced.is_(None))
    tx.execute(current_ones.values(replaced=now))
    values = {
        "account": made.account, "name": made.name, "layers": as_list(made.layers), "distro": made.distro,
        "python": made.python, "python_version": made.python_version, "packages": to_json(made.packages).decode(),
        "source": made.source, "digest": made.digest, "size": made.size, "created": now,
    }  # fmt: skip
    return int(tx.execute(insert(base).values(values).returning(base.c.id)).scalar_one())


def current(tx: Connection, account: int, name: str) -> Base:
    """The base that the account means by a name, with or without "base/".

    Raises:
        NotFound: there is none; near names are told.
    """
    short = name.removeprefix(PREFIX)
    found = tx.execute(_mine(account).where(base.c.name == short).order_by(base.c.account.desc(), base.c.id.desc())).first()
    if found is not None:
        return _base(found)
    names = [HOST, *(one.path for one in every(tx, account))]
    raise NotFound(f"there is no base {PREFIX + short!r}", hint=near(PREFIX + short, names, "picloud env list-bases shows them"))


def by_id(tx: Connection, base_id: int) -> Base:
    """A base by its number, also a replaced one.

    Raises:
        NotFound: there is none.
    """
    found = tx.execute(_ROWS.where(base.c.id == base_id)).one_or_none()
    if found is None:
        raise NotFound(f"there is no base of number {base_id} any more")
    return _base(found)


def every(tx: Connection, account: int) -> list[Base]:
    """The bases that the account may use, but for base/host, by name."""
    return [_base(row) for row in tx.execute(_mine(account).order_by(base.c.name, base.c.id))]


def near(name: str, names: list[str], else_: str) -> str:
    """A hint for a name that is not among ``names``."""
    close = difflib.get_close_matches(name, names, 3)
    return f"did you mean {' or '.join(close)}?" if close else else_


def _mine(account: int) -> Any:
    return _ROWS.where(base.c.account.in_([0, account]), base.c.replaced.is_(None))


def _base(row: Any) -> Base:
    packages = [(kind, name, version) for kind, name, version in from_json(row.packages)]
    return Base(row.name, from_json(row.layers), row.digest, row.distro, row.python, row.python_version, packages, row.source,
                row.size, row.account, row.id, row.created)  # fmt: skip


_ROWS = select(
    base.c.id, base.c.account, base.c.name, base.c.layers, base.c.distro, base.c.python, base.c.python_version, base.c.packages,
    base.c.source, base.c.digest, base.c.size, base.c.created,
)  # fmt: skip
