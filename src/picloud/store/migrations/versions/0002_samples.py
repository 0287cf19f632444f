"""Samples of running jobs, figures of ended attempts, the time of each piece of output"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """The way to this revision."""
    op.add_column("attempt", sa.Column("figures", sa.Text(), nullable=True))
    op.add_column("log", sa.Column("at", sa.BigInteger(), nullable=True))
    op.create_table(
        "sample",
        sa.Column("jid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("jid", "n", "start"),
    )
