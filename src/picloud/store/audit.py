"""What was done that concerns security: who, from where, what, on what, when.

note(tx, act)                                       in the transaction of what is done
listing(tx, wanted, before=0, limit=100) -> list[dict]          the newest first
expire(tx, before, limit) -> bool                   call again while true
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, field
from sqlalchemy import Connection, delete, insert, or_, select

from picloud.store.account.schema import audit, person
from picloud.store.rows import text
from picloud.store.schema import account

LONGEST = 400
"""Characters of a subject, which may be anything that somebody has sent."""


class Act(Struct, frozen=True):
    """Something that was done."""

    at: int
    act: str
    subject: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    account: int = 0
    person: int = 0
    api_key: int = 0
    jid: int = 0
    address: str = ""


class Wanted(NamedTuple):
    """Which acts."""

    account: int = 0  # 0 = of all
    act: str = ""  # "key.create", or all of a noun: "key"
    user: str = ""


def note(tx: Connection, act: Act) -> None:
    """Write it down."""
    row = msgspec.structs.asdict(act)
    row["facts"] = text(msgspec.json.encode(act.facts).decode()) if act.facts else ""
    tx.execute(insert(audit), row | {"subject": text(act.subject)[:LONGEST], "address": text(act.address)[:LONGEST]})


def listing(tx: Connection, wanted: Wanted, before: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    """What was done, the newest first.

    Args:
        wanted: only these.
        before: only what came before this row.
    """
    rows = _ROWS.order_by(audit.c.id.desc()).limit(limit)
    rows = rows.where(audit.c.account == wanted.account) if wanted.account else rows
    if wanted.act:
        rows = rows.where(or_(audit.c.act == wanted.act, audit.c.act.startswith(f"{wanted.act}.", autoescape=True)))
    if wanted.user:
        rows = rows.where(audit.c.person.in_(select(person.c.id).where(person.c.name == wanted.user)))
    rows = rows.where(audit.c.id < before) if before else rows
    return [{**row, "facts": msgspec.json.decode(row["facts"]) if row["facts"] else {}} for row in tx.execute(rows).mappings()]


def expire(tx: Connection, before: int, limit: int = 5000) -> bool:
    """Remove rows older than this time, so many at once; whether there were so many."""
    old = select(audit.c.id).where(audit.c.at < before).limit(limit)
    return bool(tx.execute(delete(audit).where(audit.c.id.in_(old))).rowcount == limit)


_ROWS = select(
    audit.c.id, audit.c.at, audit.c.act, audit.c.subject, audit.c.facts, account.c.name.label("account"),
    person.c.name.label("user"), audit.c.api_key, audit.c.jid, audit.c.address,
).select_from(
    audit.outerjoin(account, account.c.id == audit.c.account).outerjoin(person, person.c.id == audit.c.person)
)  # fmt: skip
