"""Queues: messages, their bytes, batches, dead letters, tallies"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """The way to this revision."""
    for table in (_queue, _message, _body, _batch, _dead, _key, _tally, _attachment, _handler):
        table()


def _col(name: str, kind: sa.types.TypeEngine[Any] | None = None, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.BigInteger(), server_default=default, nullable=False)


def _queue() -> None:
    op.create_table(
        "queue",
        sa.Column("id", Id, nullable=False),
        _col("account"),
        _col("name", sa.Text()),
        _col("gone", default="0"),
        _col("paused", sa.SmallInteger(), "0"),
        _col("retention", default="0"),
        _col("size", default="0"),
        _col("dead", default="0"),
        _col("created"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "name", "gone", name="queue_name"),
        sqlite_autoincrement=True,
    )


def _message() -> None:
    op.create_table(
        "message",
        sa.Column("id", Id, nullable=False),
        _col("queue"),
        _col("due"),
        _col("batch", default="0"),
        _col("pushed"),
        _col("given", sa.Integer(), "0"),
        _col("retries", sa.Integer(), "0"),
        _col("deaths", sa.SmallInteger(), "0"),
        _col("alone", sa.SmallInteger(), "0"),
        _col("kind", sa.SmallInteger()),
        _col("size"),
        _col("data", sa.LargeBinary()),
        _col("body", default="0"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    held, suspect = sa.text("batch <> 0"), sa.text("deaths <> 0")
    op.create_index("message_due", "message", ["queue", "due"])
    op.create_index("message_batch", "message", ["queue", "batch"], sqlite_where=held, postgresql_where=held)
    op.create_index("message_suspect", "message", ["queue", "deaths"], sqlite_where=suspect, postgresql_where=suspect)


def _body() -> None:
    op.create_table(
        "body",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        _col("data", sa.LargeBinary()),
        _col("blob", sa.Text(), ""),
        _col("copies", sa.Integer()),
        sa.PrimaryKeyConstraint("id"),
    )
    named = sa.text("blob <> ''")
    op.create_index("body_blob", "body", ["blob"], sqlite_where=named, postgresql_where=named)
    op.execute("INSERT INTO counter (name, value) VALUES ('body', 0)")


def _batch() -> None:
    op.create_table(
        "batch",
        sa.Column("id", Id, nullable=False),
        _col("token", sa.LargeBinary()),
        _col("account"),
        _col("queue"),
        _col("hold", sa.SmallInteger()),
        _col("jid", default="0"),
        _col("answer", sa.LargeBinary()),
        _col("created"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "token", name="batch_token"),
        sqlite_autoincrement=True,
    )
    held = sa.text("jid <> 0")
    op.create_index("batch_jid", "batch", ["jid"], sqlite_where=held, postgresql_where=held)
    op.create_index("batch_created", "batch", ["created"])


def _dead() -> None:
    op.create_table(
        "dead",
        sa.Column("id", Id, nullable=False),
        _col("queue"),
        _col("message"),
        _col("pushed"),
        _col("given", sa.Integer()),
        _col("retries", sa.Integer()),
        _col("deaths", sa.SmallInteger()),
        _col("kind", sa.SmallInteger()),
        _col("size"),
        _col("data", sa.LargeBinary()),
        _col("body", default="0"),
        _col("cause", sa.Text()),
        _col("failure", sa.LargeBinary()),
        _col("preview", sa.Text(), ""),
        _col("died"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("dead_queue", "dead", ["queue", "id"])


def _key() -> None:
    op.create_table(
        "pushed_key",
        sa.Column("queue", sa.BigInteger(), autoincrement=False, nullable=False),
        _col("key", sa.Text()),
        _col("until"),
        sa.PrimaryKeyConstraint("queue", "key"),
    )
    op.create_index("pushed_key_until", "pushed_key", ["until"])


def _tally() -> None:
    op.create_table(
        "tally",
        sa.Column("queue", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        _col("came", default="0"),
        _col("went", default="0"),
        _col("failed", default="0"),
        _col("retried", default="0"),
        sa.PrimaryKeyConstraint("queue", "at"),
    )


def _attachment() -> None:
    op.create_table(
        "attachment",
        sa.Column("id", Id, nullable=False),
        _col("account"),
        _col("queue"),
        _col("version", sa.Integer()),
        _col("live", sa.SmallInteger()),
        _col("token", sa.LargeBinary()),
        _col("name", sa.Text()),
        _col("max_jobs", sa.Integer()),
        _col("host", sa.Text()),
        sa.Column("env", sa.Text()),
        _col("attach", sa.LargeBinary()),
        _col("created"),
        sa.Column("ended", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("queue", "version", name="attachment_version"),
        sqlite_autoincrement=True,
    )
    live = sa.text("live <> 0")
    op.create_index("attachment_live", "attachment", ["queue"], unique=True, sqlite_where=live, postgresql_where=live)


def _handler() -> None:
    op.create_table(
        "handler",
        sa.Column("jid", sa.BigInteger(), autoincrement=False, nullable=False),
        _col("attachment"),
        _col("ended", sa.SmallInteger(), "0"),
        sa.PrimaryKeyConstraint("jid"),
    )
    op.create_index("handler_attachment", "handler", ["attachment", "jid"])
    alive = sa.text("ended = 0")
    op.create_index("handler_alive", "handler", ["attachment"], sqlite_where=alive, postgresql_where=alive)
