"""Keys that open one published call alone"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """The way to this revision."""
    op.create_table(
        "endpoint_key",
        sa.Column("api_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("call", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("api_key"),
    )
    op.create_index("endpoint_key_call", "endpoint_key", ["call"])
