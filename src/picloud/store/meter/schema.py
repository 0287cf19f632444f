"""The tables of the meter.

The ledger itself is ``attempt``: each line has what was billed, under which price, and what that comes to. A **purpose** is what
lines are summed by; it outlives jobs and submissions. **usage** has the sums of each day, added to in the transaction that writes
the lines. Money given and limits set are rows of one kind, **credit**. A **reservation** keeps cores ready for an account; what
it costs are its **stretches**, lines of the ledger beside the attempts. All amounts are exact integers, see
:mod:`picloud.wire.money`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table, Text, UniqueConstraint, literal_column

from picloud.store.schema import Id, col, metadata

PARTS = 16
"""A day's sum of a purpose is kept in so many rows, by worker, so that the ends of two workers seldom meet in one."""

purpose = Table(
    "purpose",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("function", Text),  # its name
    col("label", Text),
    col("queue", Text),  # that the jobs handle
    col("core_type", Text),
    UniqueConstraint("account", "function", "label", "queue", "core_type", name="purpose_key"),
)

usage = Table(
    "usage",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),  # since 1970, UTC
    Column("purpose", BigInteger, primary_key=True, autoincrement=False),
    Column("part", SmallInteger, primary_key=True, autoincrement=False),
    col("attempts"),
    col("core_ms"),  # billed ms x cores
    col("amount"),
    sqlite_with_rowid=False,
)

credit = Table(
    "credit",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("kind", SmallInteger),  # store.meter.credit.Kind
    col("amount"),
    col("begins"),  # epoch ms
    col("ends", null=True),
    col("reason", Text, ""),
    col("author", Text, ""),  # the account that gave it
    col("token", Text, ""),  # of the request: a repeat gives nothing more
    Index("credit_account", "account", "id"),
)
_free: Any = literal_column("kind = 0")
Index("credit_month", credit.c.account, credit.c.begins, unique=True, sqlite_where=_free, postgresql_where=_free)
_told: Any = literal_column("token <> ''")
Index("credit_token", credit.c.account, credit.c.kind, credit.c.token, unique=True, sqlite_where=_told, postgresql_where=_told)

reservation = Table(
    "reservation",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("kind"),  # whose slots are ready before anything has run
    col("cores", Integer),
    col("price"),  # of a core, micro-dollars an hour, as it was when it was asked for
    col("token", Text, ""),  # of the request: a repeat is the same reservation
    col("created"),
    col("longest", null=True),  # ms from ``began`` on; null = until it is released
    col("began", null=True),  # when its slots were ready first
    col("released", null=True),  # no job begins on it any more
    col("ended", null=True),  # and none runs on it
    col("why", Text, ""),  # it was released
    Index("reservation_account", "account", "id"),
    sqlite_autoincrement=True,
)
_open: Any = literal_column("ended IS NULL")
Index("reservation_open", reservation.c.id, sqlite_where=_open, postgresql_where=_open)
Index("reservation_token", reservation.c.account, reservation.c.token, unique=True, sqlite_where=_told, postgresql_where=_told)

stretch = Table(
    "stretch",
    metadata,
    Column("reservation", BigInteger, primary_key=True, autoincrement=False),
    Column("begins", BigInteger, primary_key=True, autoincrement=False),  # epoch ms
    col("ends"),  # on the same day (UTC); the newest one of a reservation grows
    col("account"),
    col("purpose"),
    col("cores", Integer),
    col("price"),
    col("billed_ms"),  # ends - begins
    col("amount"),  # billed_ms x cores x price
    sqlite_with_rowid=False,
)
"""Time in which cores were kept ready: lines of the ledger."""
