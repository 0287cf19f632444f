"""Buckets and volumes: trees, objects, their bytes"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """The way to this revision."""
    for table in (_tree, _object, _content, _extent):
        table()


def _tree() -> None:
    op.create_table(
        "tree",
        sa.Column("id", Id, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mount", sa.Text(), server_default="", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("host", sa.Text(), server_default="", nullable=False),
        sa.Column("read_only", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("objects", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "name", name="tree_name"),
        sqlite_autoincrement=True,
    )


def _object() -> None:
    op.create_table(
        "object",
        sa.Column("id", Id, nullable=False),
        sa.Column("tree", sa.BigInteger(), nullable=False),
        sa.Column("key", Key, nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("md5", sa.Text(), server_default="", nullable=False),
        sa.Column("public", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("headers", sa.Text(), server_default="{}", nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tree", "key", name="object_key"),
        sqlite_autoincrement=True,
    )


def _content() -> None:
    op.create_table(
        "content",
        sa.Column("object", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("object"),
    )


def _extent() -> None:
    op.create_table(
        "extent",
        sa.Column("object", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("object", "at"),
    )
    op.create_index("extent_blob", "extent", ["blob"])
