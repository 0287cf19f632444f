"""The tables of stored calls.

A **call** is a function with its options that the server submits by itself. A **cron** is the clock of one: ``due`` is the next
time, and whoever submits its job moves it on in the same transaction. A **run** tells what came of one time.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, LargeBinary, SmallInteger, Table, Text, UniqueConstraint, literal_column

from picloud.store.schema import Id, col, metadata

call = Table(
    "call",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("sort", SmallInteger),  # wire.call.Sort
    col("label", Text),
    col("name", Text),  # of the function
    col("submit", LargeBinary),  # msgpack of wire.message.Submit, without code
    col("host", Text),  # base/host with the client's interpreter, as in ``kind.env``
    col("env", Text, null=True),  # the image, whatever the options say
    col("description", Text),
    col("machine", Text),  # where it was registered
    col("created"),
    UniqueConstraint("account", "sort", "label", name="call_label"),
    sqlite_autoincrement=True,
)

cron = Table(
    "cron",
    metadata,
    Column("call", Id, primary_key=True, autoincrement=False),
    col("schedule", Text),
    col("timezone", Text),
    col("day_or", SmallInteger),
    col("missed", SmallInteger),  # wire.call.Missed
    col("overlap", SmallInteger),  # wire.call.Overlap
    col("due"),  # epoch ms
    col("last_run", null=True),
    col("last_jid", null=True),
    Index("cron_due", "due"),
)

endpoint = Table(
    "endpoint",
    metadata,
    Column("call", Id, primary_key=True, autoincrement=False),
    col("data", Text),  # JSON of wire.call.Endpoint
)
"""What is published about a call that has an address."""

runs = Table(
    "run",
    metadata,
    Column("id", Id, primary_key=True),
    col("call"),
    col("at"),  # the time it was meant for, epoch ms
    col("made"),  # when that was done
    col("why", SmallInteger),  # wire.call.Why
    col("jid", default="0"),  # 0: there is no job
    col("trouble", Text, ""),  # why there is none
    Index("run_call", "call", "id"),
    Index("run_made", "made"),
    sqlite_autoincrement=True,
)
_job: Any = literal_column("jid <> 0")
Index("run_jid", runs.c.jid, unique=True, sqlite_where=_job, postgresql_where=_job)
