"""What attempts cost, the sums of each day, credit and limits"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

PAID = {
    "submission": ("purpose",),
    "job": ("purpose",),
    "lease": ("purpose", "price"),
    "attempt": ("purpose", "billed_ms", "cores", "price", "amount"),
}


def upgrade() -> None:
    """The way to this revision. Attempts that ended before it cost nothing; jobs that have not are billed."""
    for table, names in PAID.items():
        for name in names:
            kind = sa.Integer() if name == "cores" else sa.BigInteger()
            op.add_column(table, sa.Column(name, kind, nullable=False, server_default="0"))
    _tables()
    op.execute(
        "INSERT INTO purpose (account, function, label, queue, core_type) "
        "SELECT DISTINCT s.account, s.name, s.label, '', k.core_type FROM submission s JOIN kind k ON k.id = s.kind"
    )
    op.execute(
        "UPDATE submission SET purpose = (SELECT p.id FROM purpose p JOIN kind k ON k.core_type = p.core_type "
        "WHERE k.id = submission.kind AND p.account = submission.account AND p.function = submission.name "
        "AND p.label = submission.label AND p.queue = '')"
    )
    op.execute(
        "UPDATE job SET purpose = (SELECT s.purpose FROM submission s WHERE s.id = job.submission) "
        "WHERE status < 3 AND EXISTS (SELECT 1 FROM submission s WHERE s.id = job.submission)"
    )
    op.execute("UPDATE lease SET purpose = coalesce((SELECT j.purpose FROM job j WHERE j.jid = lease.jid), 0)")


def _tables() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "purpose",
        sa.Column("id", number, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("function", "label", "queue", "core_type")),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "function", "label", "queue", "core_type", name="purpose_key"),
    )
    op.create_table(
        "usage",
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("purpose", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("part", sa.SmallInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("attempts", "core_ms", "amount")),
        sa.PrimaryKeyConstraint("account", "day", "purpose", "part"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "credit",
        sa.Column("id", number, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("begins", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=False, server_default="") for name in ("reason", "author", "token")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("credit_account", "credit", ["account", "id"])
    free, told = sa.text("kind = 0"), sa.text("token <> ''")
    op.create_index("credit_month", "credit", ["account", "begins"], unique=True, sqlite_where=free, postgresql_where=free)
    op.create_index("credit_token", "credit", ["account", "kind", "token"], unique=True, sqlite_where=told, postgresql_where=told)
