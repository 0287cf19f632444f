"""The tables of the first release"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The way to this revision."""
    for table in (
        _account,
        _api_key,
        _argument,
        _attempt,
        _blob,
        _chunk,
        _code,
        _counter,
        _dependency,
        _job,
        _kind,
        _lease,
        _log,
        _login,
        _result,
        _submission,
        _submission_env,
        _worker,
    ):
        table()
    op.execute("INSERT INTO counter VALUES ('jid', 0)")


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("weight", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )


def _api_key() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("api_key_account", "api_key", ["account"])


def _argument() -> None:
    op.create_table(
        "argument",
        sa.Column("jid", Id, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=True),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("jid"),
    )
    op.create_index(
        "argument_blob",
        "argument",
        ["blob"],
        sqlite_where=sa.text("blob IS NOT NULL"),
        postgresql_where=sa.text("blob IS NOT NULL"),
    )


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("jid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("lease", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.SmallInteger(), nullable=False),
        sa.Column("leased", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.BigInteger(), nullable=False),
        sa.Column("runtime_us", sa.BigInteger(), nullable=False),
        sa.Column("cpu_user_us", sa.BigInteger(), nullable=False),
        sa.Column("cpu_system_us", sa.BigInteger(), nullable=False),
        sa.Column("peak_memory", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("jid", "n"),
        sqlite_with_rowid=False,
    )


def _blob() -> None:
    op.create_table(
        "blob",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("touched", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("blob_touched", "blob", ["state", "touched"])


def _chunk() -> None:
    op.create_table(
        "chunk",
        sa.Column("submission", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("submission", "offset"),
    )


def _code() -> None:
    op.create_table(
        "code",
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("info", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "digest"),
    )


def _counter() -> None:
    op.create_table(
        "counter",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _dependency() -> None:
    op.create_table(
        "dependency",
        sa.Column("parent", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("child", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("parent", "child"),
    )
    op.create_index("dependency_child", "dependency", ["child"])


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("jid", Id, autoincrement=False, nullable=False),
        sa.Column("submission", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("held", sa.SmallInteger(), nullable=False),
        sa.Column("restartable", sa.SmallInteger(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("retried", sa.SmallInteger(), nullable=False),
        sa.Column("lost", sa.SmallInteger(), nullable=False),
        sa.Column("doubts", sa.SmallInteger(), nullable=False),
        sa.Column("cause", sa.SmallInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("finished", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("jid"),
    )
    op.create_index(
        "job_failed", "job", ["account", "jid"], sqlite_where=sa.text("status > 3"), postgresql_where=sa.text("status > 3")
    )
    op.create_index(
        "job_ready",
        "job",
        ["kind", "priority", "jid"],
        sqlite_where=sa.text("status = 1 AND held = 0"),
        postgresql_where=sa.text("status = 1 AND held = 0"),
    )
    op.create_index(
        "job_waiting", "job", ["due", "jid"], sqlite_where=sa.text("status = 0"), postgresql_where=sa.text("status = 0")
    )


def _kind() -> None:
    op.create_table(
        "kind",
        sa.Column("id", Id, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("core_type", sa.Text(), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("env", sa.Text(), server_default="", nullable=False),
        sa.Column("vol", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "core_type", "cores", "env", "vol", name="kind_key"),
    )


def _lease() -> None:
    op.create_table(
        "lease",
        sa.Column("jid", Id, autoincrement=False, nullable=False),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        sa.Column("lease", sa.LargeBinary(), nullable=False),
        sa.Column("worker", sa.BigInteger(), nullable=False),
        sa.Column("alone", sa.SmallInteger(), nullable=False),
        sa.Column("leased", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("jid"),
    )


def _log() -> None:
    op.create_table(
        "log",
        sa.Column("jid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("jid", "n", "stream", "offset"),
    )


def _login() -> None:
    op.create_table(
        "login",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("session", sa.SmallInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )


def _result() -> None:
    op.create_table(
        "result",
        sa.Column("jid", Id, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("blob", sa.Text(), nullable=True),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("failure", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("jid"),
    )
    op.create_index(
        "result_blob", "result", ["blob"], sqlite_where=sa.text("blob IS NOT NULL"), postgresql_where=sa.text("blob IS NOT NULL")
    )


def _submission() -> None:
    op.create_table(
        "submission",
        sa.Column("id", Id, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("function", sa.Text(), nullable=False),
        sa.Column("modules", sa.Text(), nullable=False),
        sa.Column("python", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("kind", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=True),
        sa.Column("head", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("final", sa.SmallInteger(), nullable=False),
        sa.Column("gate", sa.SmallInteger(), nullable=False),
        sa.Column("blame", sa.BigInteger(), nullable=True),
        sa.Column("parent_jid", sa.BigInteger(), nullable=True),
        sa.Column("parent_n", sa.Integer(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "token", name="submission_token"),
    )
    op.create_index("submission_first", "submission", ["first"])
    op.create_index(
        "submission_label",
        "submission",
        ["account", "label"],
        sqlite_where=sa.text("label <> ''"),
        postgresql_where=sa.text("label <> ''"),
    )
    op.create_index("submission_name", "submission", ["account", "name"])
    op.create_index(
        "submission_open", "submission", ["seen"], sqlite_where=sa.text("final = 0"), postgresql_where=sa.text("final = 0")
    )


def _submission_env() -> None:
    op.create_table(
        "submission_env",
        sa.Column("submission", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("submission"),
    )


def _worker() -> None:
    op.create_table(
        "worker",
        sa.Column("id", Id, nullable=False),
        sa.Column("incarnation", sa.Text(), nullable=False),
        sa.Column("kind", sa.BigInteger(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=True),
        sa.Column("pid_start", sa.Text(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger(), nullable=True),
        sa.Column("evidence", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("incarnation"),
    )
    op.create_index(
        "worker_live", "worker", ["id"], sqlite_where=sa.text("closed IS NULL"), postgresql_where=sa.text("closed IS NULL")
    )
