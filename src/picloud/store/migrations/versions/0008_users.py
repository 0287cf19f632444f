"""Users, members, invitations, the audit log; scopes, expiry and rotation of keys"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """The way to this revision."""
    op.execute("ALTER TABLE api_key RENAME COLUMN label TO note")
    _add("api_key", "active", sa.SmallInteger(), "1")
    _add("api_key", "expires", sa.BigInteger(), "0")
    _add("api_key", "scopes", sa.Integer(), "63")
    _add("api_key", "person", sa.BigInteger(), "0")
    _add("api_key", "former_hash", sa.LargeBinary(), "")
    _add("api_key", "former_until", sa.BigInteger(), "0")
    _add("login", "scopes", sa.Integer(), "63")
    _add("login", "person", sa.BigInteger(), "0")
    _add("login", "api_key", sa.BigInteger(), "0")
    for table in (_person, _membership, _invitation, _audit):
        table()


def _add(table: str, name: str, kind: sa.types.TypeEngine[Any], default: str) -> None:
    op.add_column(table, _col(name, kind, default))


def _col(name: str, kind: sa.types.TypeEngine[Any] | None = None, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.BigInteger(), server_default=default, nullable=False)


def _person() -> None:
    op.create_table(
        "person",
        sa.Column("id", Id, nullable=False),
        _col("name", sa.Text()),
        _col("email", sa.Text(), ""),
        _col("password", sa.Text(), ""),
        _col("created"),
        _col("changed"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )
    some = sa.text("email <> ''")
    op.create_index("person_email", "person", ["email"], unique=True, sqlite_where=some, postgresql_where=some)


def _membership() -> None:
    op.create_table(
        "membership",
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("person", sa.BigInteger(), autoincrement=False, nullable=False),
        _col("role", sa.SmallInteger()),
        _col("created"),
        sa.PrimaryKeyConstraint("account", "person"),
    )
    op.create_index("membership_person", "membership", ["person"])


def _invitation() -> None:
    op.create_table(
        "invitation",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        _col("person", default="0"),
        _col("account", default="0"),
        _col("role", sa.SmallInteger()),
        _col("email", sa.Text(), ""),
        _col("created"),
        _col("expires"),
        sa.PrimaryKeyConstraint("hash"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", Id, nullable=False),
        _col("at"),
        _col("account", default="0"),
        _col("person", default="0"),
        _col("api_key", default="0"),
        _col("jid", default="0"),
        _col("address", sa.Text(), ""),
        _col("act", sa.Text()),
        _col("subject", sa.Text(), ""),
        _col("facts", sa.Text(), ""),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_at", "audit", ["at"])
