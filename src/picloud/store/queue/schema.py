"""The tables of queues.

A **message** is handed out when its ``due`` comes: at once, after its delay, or when the deadline of whoever held it has passed.
``batch`` is the one that it was handed out in last, 0 where it has come back since: together with its id it is the ticket. Those
in the hands of a job are due NEVER.

A **batch** is one request by its token, so that a repeat of it gets the same answer. Small bytes rest in the message's own row,
more in a **body** that all copies of a message share. What failed for good is a **dead** letter.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

from picloud.store.schema import Id, col, metadata

NEVER, REMOVED = 1 << 52, 1 << 53
"""Epoch ms that do not come; REMOVED is due what a plain pop took: it is there for a repeat of that pop alone."""
ABANDONED = 9
"""How a batch is held whose asker has died: nothing more is handed out in it."""
OWN = 1024
"""Bytes of a message that rest in its own row."""

queue = Table(
    "queue",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("name", Text),
    col("gone", BigInteger, "0"),  # 0, or its own id once it was deleted: the name is free again
    col("paused", SmallInteger, "0"),  # handlers get nothing
    col("retention", BigInteger, "0"),  # ms after which what nobody read becomes a dead letter; 0 = never
    col("size", BigInteger, "0"),  # messages, those in hand included
    col("dead", BigInteger, "0"),  # dead letters
    col("created"),
    UniqueConstraint("account", "name", "gone", name="queue_name"),
    sqlite_autoincrement=True,
)

message = Table(
    "message",
    metadata,
    Column("id", Id, primary_key=True),
    col("queue"),
    col("due"),
    col("batch", BigInteger, "0"),
    col("pushed"),
    col("given", Integer, "0"),  # so often it was handed out
    col("retries", Integer, "0"),
    col("deaths", SmallInteger, "0"),  # so often whoever held it died; above 0 it is given out alone
    col("alone", SmallInteger, "0"),  # so many of these deaths it was the only one in hand
    col("kind", SmallInteger),  # wire.queue.Kind
    col("size"),  # bytes
    col("data", LargeBinary),
    col("body", BigInteger, "0"),  # where data is empty
    sqlite_autoincrement=True,
)
Index("message_due", message.c.queue, message.c.due)
_held: Any = literal_column("batch <> 0")
_suspect: Any = literal_column("deaths <> 0")
Index("message_batch", message.c.queue, message.c.batch, sqlite_where=_held, postgresql_where=_held)
Index("message_suspect", message.c.queue, message.c.deaths, sqlite_where=_suspect, postgresql_where=_suspect)

body = Table(
    "body",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    col("data", LargeBinary),
    col("blob", Text, ""),
    col("copies", Integer),  # messages and dead letters that name it
)
Index("body_blob", body.c.blob, sqlite_where=literal_column("blob <> ''"), postgresql_where=literal_column("blob <> ''"))

batch = Table(
    "batch",
    metadata,
    Column("id", Id, primary_key=True),
    col("token", LargeBinary),
    col("account"),
    col("queue"),
    col("hold", SmallInteger),  # wire.queue.Hold, or ABANDONED
    col("jid", BigInteger, "0"),  # the job that holds what was handed out
    col("answer", LargeBinary),  # msgpack: what was answered besides messages
    col("created"),
    UniqueConstraint("account", "token", name="batch_token"),
    sqlite_autoincrement=True,
)
Index("batch_jid", batch.c.jid, sqlite_where=literal_column("jid <> 0"), postgresql_where=literal_column("jid <> 0"))
Index("batch_created", batch.c.created)

dead = Table(
    "dead",
    metadata,
    Column("id", Id, primary_key=True),
    col("queue"),
    col("message"),  # the id that it had
    col("pushed"),
    col("given", Integer),
    col("retries", Integer),
    col("deaths", SmallInteger),
    col("kind", SmallInteger),
    col("size"),
    col("data", LargeBinary),
    col("body", BigInteger, "0"),
    col("cause", Text),  # a name of wire.job.Cause
    col("failure", LargeBinary),  # msgpack of wire.job.Failure
    col("preview", Text, ""),
    col("died"),
    Index("dead_queue", "queue", "id"),
    sqlite_autoincrement=True,
)

pushed_key = Table(
    "pushed_key",
    metadata,
    Column("queue", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    col("until"),  # epoch ms; later it counts as new
)
Index("pushed_key_until", pushed_key.c.until)

tally = Table(
    "tally",
    metadata,
    Column("queue", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),  # epoch ms, the begin of 10 s
    col("came", BigInteger, "0"),
    col("went", BigInteger, "0"),  # popped, acked, dead
    col("failed", BigInteger, "0"),  # of those that went
    col("retried", BigInteger, "0"),
)
"""What happened in a queue in each 10 s."""

attachment = Table(
    "attachment",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("queue"),
    col("version", Integer),
    col("live", SmallInteger),  # the one in force; at most one a queue
    col("token", LargeBinary),
    col("name", Text),  # of the handler
    col("max_jobs", Integer),
    col("host", Text),  # base/host with the client's interpreter, as in ``kind.env``
    col("env", Text, null=True),  # the image, whatever the options say
    col("attach", LargeBinary),  # msgpack of wire.queue.Attach without code
    col("created"),
    col("ended", null=True),
    UniqueConstraint("queue", "version", name="attachment_version"),
    sqlite_autoincrement=True,
)
_live: Any = literal_column("live <> 0")
Index("attachment_live", attachment.c.queue, unique=True, sqlite_where=_live, postgresql_where=_live)

handler = Table(
    "handler",
    metadata,
    Column("jid", BigInteger, primary_key=True, autoincrement=False),
    col("attachment"),
    col("ended", SmallInteger, "0"),  # and what it held has come back
    Index("handler_attachment", "attachment", "jid"),
)
"""The jobs of attachments."""
_alive: Any = literal_column("ended = 0")
Index("handler_alive", handler.c.attachment, sqlite_where=_alive, postgresql_where=_alive)
