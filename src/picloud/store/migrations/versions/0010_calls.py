"""Stored calls: functions that the server submits by itself"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """The way to this revision."""
    for table in (_call, _cron, _endpoint, _run):
        table()


def _col(name: str, kind: sa.types.TypeEngine[Any] | None = None, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.BigInteger(), server_default=default, nullable=False)


def _call() -> None:
    op.create_table(
        "call",
        sa.Column("id", Id, nullable=False),
        _col("account"),
        _col("sort", sa.SmallInteger()),
        _col("label", sa.Text()),
        _col("name", sa.Text()),
        _col("submit", sa.LargeBinary()),
        _col("host", sa.Text()),
        sa.Column("env", sa.Text()),
        _col("description", sa.Text()),
        _col("machine", sa.Text()),
        _col("created"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "sort", "label", name="call_label"),
        sqlite_autoincrement=True,
    )


def _cron() -> None:
    op.create_table(
        "cron",
        sa.Column("call", Id, autoincrement=False, nullable=False),
        _col("schedule", sa.Text()),
        _col("timezone", sa.Text()),
        _col("day_or", sa.SmallInteger()),
        _col("missed", sa.SmallInteger()),
        _col("overlap", sa.SmallInteger()),
        _col("due"),
        sa.Column("last_run", sa.BigInteger()),
        sa.Column("last_jid", sa.BigInteger()),
        sa.PrimaryKeyConstraint("call"),
    )
    op.create_index("cron_due", "cron", ["due"])


def _endpoint() -> None:
    op.create_table(
        "endpoint",
        sa.Column("call", Id, autoincrement=False, nullable=False),
        _col("data", sa.Text()),
        sa.PrimaryKeyConstraint("call"),
    )


def _run() -> None:
    op.create_table(
        "run",
        sa.Column("id", Id, nullable=False),
        _col("call"),
        _col("at"),
        _col("made"),
        _col("why", sa.SmallInteger()),
        _col("jid", default="0"),
        _col("trouble", sa.Text(), ""),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    there = sa.text("jid <> 0")
    op.create_index("run_call", "run", ["call", "id"])
    op.create_index("run_made", "run", ["made"])
    op.create_index("run_jid", "run", ["jid"], unique=True, sqlite_where=there, postgresql_where=there)
