"""Tokens of replaced versions, by which a repeated put is known"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """The way to this revision."""
    op.create_table(
        "former",
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("object", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("md5", sa.Text(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token", "object"),
    )
    op.create_index("former_modified", "former", ["modified"])
