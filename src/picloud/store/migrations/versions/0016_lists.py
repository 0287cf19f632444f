"""What jobs have submitted, and submissions by their first job"""

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
