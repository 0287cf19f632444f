"""Environments, their versions, layers and bases"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """The way to this revision."""
    for table in (_environment, _version, _layer, _base):
        table()


def _environment() -> None:
    op.create_table(
        "environment",
        sa.Column("id", Id, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("gone", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("public", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("base_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("interpreter", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("trouble", sa.Text(), server_default="", nullable=False),
        sa.Column("setup", sa.Integer(), server_default="0", nullable=False),
        sa.Column("setup_jid", sa.BigInteger(), nullable=True),
        sa.Column("setup_since", sa.BigInteger(), nullable=True),
        sa.Column("under", sa.BigInteger(), nullable=True),
        sa.Column("leaving", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "name", "gone", name="environment_name"),
    )


def _version() -> None:
    op.create_table(
        "version",
        sa.Column("id", Id, nullable=False),
        sa.Column("environment", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("base_id", sa.BigInteger(), nullable=False),
        sa.Column("interpreter", sa.Text(), nullable=False),
        sa.Column("layers", sa.Text(), nullable=False),
        sa.Column("python", sa.Text(), nullable=False),
        sa.Column("python_version", sa.Text(), nullable=False),
        sa.Column("packages", sa.Text(), nullable=False),
        sa.Column("recipe", sa.Text(), server_default="", nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("environment", "number", name="version_number"),
    )


def _layer() -> None:
    op.create_table(
        "layer",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("touched", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )


def _base() -> None:
    op.create_table(
        "base",
        sa.Column("id", Id, nullable=False),
        sa.Column("account", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("layers", sa.Text(), nullable=False),
        sa.Column("distro", sa.Text(), server_default="", nullable=False),
        sa.Column("python", sa.Text(), server_default="", nullable=False),
        sa.Column("python_version", sa.Text(), server_default="", nullable=False),
        sa.Column("packages", sa.Text(), server_default="[]", nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("replaced", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("base_name", "base", ["name"])
