"""What jobs have submitted, submissions by their first job, and where sessions are open"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """The way to this revision."""
    op.drop_index("submission_label", "submission")
    op.drop_index("submission_first", "submission")
    op.create_index("submission_first", "submission", ["account", "first", "purpose", "kind", "created"])
    child = sa.text("parent_jid IS NOT NULL")
    op.create_index("submission_parent", "submission", ["parent_jid"], sqlite_where=child, postgresql_where=child)
    for name in ("created", "used"):
        op.add_column("login", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("login", sa.Column("agent", sa.Text(), nullable=False, server_default=""))
