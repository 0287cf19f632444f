"""Accounts that are removed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """The way to this revision."""
    op.add_column("account", sa.Column("gone", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("account", sa.Column("cleared", sa.BigInteger(), nullable=False, server_default="0"))
