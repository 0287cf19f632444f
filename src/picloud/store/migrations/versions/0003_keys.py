"""Public keys for ssh"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """The way to this revision."""
    op.create_table(
        "ssh_key",
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("api_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("public", "api_key"),
    )
