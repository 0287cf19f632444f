"""The grant programme: calls, applications and their files; accounts that are off; logins by OpenID Connect"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """The way to this revision."""
    for table in (_call, _application, _file, _identity):
        table()
    op.add_column("account", _col("active", sa.SmallInteger(), "1"))


def _col(name: str, kind: sa.types.TypeEngine[Any] | None = None, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.BigInteger(), server_default=default, nullable=False)


def _call() -> None:
    op.create_table(
        "grant_call",
        sa.Column("id", Id, nullable=False),
        _col("name", sa.Text()),
        _col("deadline"),
        _col("awards", sa.Integer()),
        _col("amount"),
        _col("ends", default="0"),
        _col("created"),
        sa.Column("closed", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )


def _application() -> None:
    op.create_table(
        "application",
        sa.Column("id", Id, nullable=False),
        _col("call"),
        _col("account"),
        _col("person", default="0"),
        _col("state", sa.SmallInteger()),
        _col("name", sa.Text()),
        _col("institution", sa.Text()),
        _col("position", sa.Text()),
        _col("biography", sa.Text()),
        _col("research", sa.Text()),
        _col("created"),
        _col("changed"),
        sa.Column("decided", sa.BigInteger()),
        _col("note", sa.Text(), ""),
        _col("credit", default="0"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("call", "account", name="application_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("application_account", "application", ["account"])


def _file() -> None:
    op.create_table(
        "application_file",
        sa.Column("application", sa.BigInteger(), autoincrement=False, nullable=False),
        _col("name", sa.Text()),
        _col("blob", sa.Text()),
        _col("size"),
        sa.PrimaryKeyConstraint("application", "name"),
    )
    op.create_index("application_file_blob", "application_file", ["blob"])


def _identity() -> None:
    op.create_table(
        "identity",
        _col("issuer", sa.Text()),
        _col("subject", sa.Text()),
        _col("person"),
        _col("created"),
        sa.PrimaryKeyConstraint("issuer", "subject"),
    )
    op.create_index("identity_person", "identity", ["person"])
