"""Secrets, webhooks"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """The way to this revision."""
    for table in (_secret, _webhook, _delivery):
        table()


def _col(name: str, kind: sa.types.TypeEngine[Any] | None = None, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.BigInteger(), server_default=default, nullable=False)


def _secret() -> None:
    op.create_table(
        "secret",
        sa.Column("id", Id, nullable=False),
        _col("account"),
        _col("name", sa.Text()),
        _col("variables", sa.Text()),
        _col("key", sa.Text()),
        _col("data", sa.LargeBinary()),
        _col("created"),
        _col("changed"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "name", name="secret_name"),
        sqlite_autoincrement=True,
    )


def _webhook() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", Id, nullable=False),
        _col("account"),
        _col("label", sa.Text()),
        _col("url", sa.Text()),
        _col("key", sa.Text()),
        _col("data", sa.LargeBinary()),
        _col("created"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "label", name="webhook_label"),
        sqlite_autoincrement=True,
    )


def _delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", Id, nullable=False),
        _col("account"),
        _col("webhook"),
        _col("jid"),
        _col("event", sa.Text()),
        _col("url", sa.Text()),
        _col("body", sa.Text()),
        _col("created"),
        sa.Column("due", sa.BigInteger()),
        _col("tries", sa.Integer(), "0"),
        _col("state", sa.SmallInteger(), "0"),
        _col("answer", sa.Integer(), "0"),
        _col("trouble", sa.Text(), ""),
        sa.Column("ended", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    waits, over = sa.text("due IS NOT NULL"), sa.text("ended IS NOT NULL")
    op.create_index("delivery_account", "delivery", ["account", "id"])
    op.create_index("delivery_due", "delivery", ["due"], sqlite_where=waits, postgresql_where=waits)
    op.create_index("delivery_ended", "delivery", ["ended"], sqlite_where=over, postgresql_where=over)
