"""The tables of webhooks.

A **webhook** belongs to a label; the one of the label ``""`` has no address and signs what single jobs ask for. That the end of a
job is to be told is a row of ``dependency``, whose child is its own submission's number, negative: whatever ends the job meets
it there. It becomes a **delivery** in the transaction of that end.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, Integer, LargeBinary, SmallInteger, Table, Text, UniqueConstraint, literal_column

from picloud.store.schema import Id, col, metadata

webhook = Table(
    "webhook",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("label", Text),
    col("url", Text),
    col("key", Text),  # of the server's vault, which has sealed ``data``
    col("data", LargeBinary),  # the signing secret
    col("created"),
    UniqueConstraint("account", "label", name="webhook_label"),
    sqlite_autoincrement=True,
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("webhook"),
    col("jid"),
    col("event", Text),  # the same at each try
    col("url", Text),
    col("body", Text),
    col("created"),
    col("due", null=True),  # of the next try, epoch ms; NULL: there is none
    col("tries", Integer, "0"),
    col("state", SmallInteger, "0"),  # store.webhook.delivery.State
    col("answer", Integer, "0"),  # HTTP status of the last try; 0: there was none
    col("trouble", Text, ""),  # with the last try
    col("ended", null=True),
    Index("delivery_account", "account", "id"),
    sqlite_autoincrement=True,
)
_waits: Any = literal_column("due IS NOT NULL")
Index("delivery_due", delivery.c.due, sqlite_where=_waits, postgresql_where=_waits)
_over: Any = literal_column("ended IS NOT NULL")
Index("delivery_ended", delivery.c.ended, sqlite_where=_over, postgresql_where=_over)
