"""Cores that are kept ready for an account, and what that costs"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """The way to this revision."""
    op.add_column("worker", sa.Column("reserved", sa.SmallInteger(), nullable=False, server_default="0"))
    _reservation()
    _stretch()


def _col(name: str, kind: sa.types.TypeEngine[Any] | None = None, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.BigInteger(), server_default=default, nullable=False)


def _reservation() -> None:
    op.create_table(
        "reservation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        _col("account"),
        _col("kind"),
        _col("cores", sa.Integer()),
        _col("price"),
        _col("token", sa.Text(), ""),
        _col("created"),
        *(sa.Column(name, sa.BigInteger()) for name in ("longest", "began", "released", "ended")),
        _col("why", sa.Text(), ""),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    unfinished, told = sa.text("ended IS NULL"), sa.text("token <> ''")
    op.create_index("reservation_account", "reservation", ["account", "id"])
    op.create_index("reservation_open", "reservation", ["id"], sqlite_where=unfinished, postgresql_where=unfinished)
    op.create_index("reservation_token", "reservation", ["account", "token"], unique=True, sqlite_where=told,
                    postgresql_where=told)  # fmt: skip


def _stretch() -> None:
    op.create_table(
        "stretch",
        sa.Column("reservation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("begins", sa.BigInteger(), autoincrement=False, nullable=False),
        *(_col(name) for name in ("ends", "account", "purpose")),
        _col("cores", sa.Integer()),
        *(_col(name) for name in ("price", "billed_ms", "amount")),
        sa.PrimaryKeyConstraint("reservation", "begins"),
        sqlite_with_rowid=False,
    )
