"""The tables of one installation.

Everything has an owner: rows that people may ask for carry ``account``. Times are epoch milliseconds of the server,
durations microseconds of the worker. Numbers of states and causes are those of :mod:`picloud.wire.job`.

One ``call`` or ``map`` is a **submission**: token, code, options, and its **chunks** (the first one lies in the
submission's own row). Its **jobs** are narrow rows, so that a million of them can be walked; **arguments** and **results**
rest beside them. A job in a worker's hands has a **lease**, at most one; when the lease ends, however it ends after the
start, it becomes an **attempt**, which never changes again: it is the ledger line and outlives the job.

``job.status = 1 and job.held = 0`` is *ready*; only such rows are in ``job_ready``, which the dispatcher reads in order.
``job.status = 0`` is *waiting*: for its submission's gate, or, where ``due`` is set, for its retry time.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
)

metadata = MetaData()

Id = BigInteger().with_variant(Integer(), "sqlite")
"""A row number that SQLite can use as its rowid."""


def col(name: str, kind: type | object = BigInteger, default: str | None = None, *, null: bool = False) -> Column[object]:
    return Column(name, kind, nullable=null, server_default=default)  # type: ignore[arg-type]


counter = Table("counter", metadata, Column("name", Text, primary_key=True), col("value"))
"""Numbers handed out in ranges, under the row's lock: ``jid`` and ``body`` are the last ones given."""

account = Table(
    "account",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    col("weight", Integer, "1"),
    col("created"),
    col("active", SmallInteger, "1"),
    col("gone", BigInteger, "0"),  # epoch ms; when it was removed, see store.account.removal
    col("cleared", BigInteger, "0"),  # and when nothing was left of what was its
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    col("account"),
    col("secret_hash", LargeBinary),
    col("note", Text, ""),
    col("created"),
    col("revoked", null=True),
    col("active", SmallInteger, "1"),
    col("expires", BigInteger, "0"),  # epoch ms; 0 = never
    col("scopes", Integer, "63"),  # wire.scope.Scope
    col("person", BigInteger, "0"),  # whose it is; 0 = the account's own
    col("former_hash", LargeBinary, ""),  # of the secret before the last rotation
    col("former_until", BigInteger, "0"),  # and how long it still works
    Index("api_key_account", "account"),
)

login = Table(
    "login",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    col("account"),
    col("session", SmallInteger),
    col("expires"),
    col("scopes", Integer, "63"),
    col("person", BigInteger, "0"),  # who logged in; 0 = nobody with a password
    col("api_key", BigInteger, "0"),  # by which it was made; it ends with that
    col("created", BigInteger, "0"),  # epoch ms
    col("used", BigInteger, "0"),  # when it was last shown, to a minute or so
    col("agent", Text, ""),  # the program that logged in, as it calls itself
)
"""One-time tickets (session 0) and the tokens they are exchanged for (session 1), by sha256."""

code = Table(
    "code",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, primary_key=True),
    col("kind", Text),
    col("info", Text),
    col("data", LargeBinary),
    col("created"),
)

kind = Table(
    "kind",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("core_type", Text),
    col("cores", Integer),
    col("env", Text, ""),
    col("vol", Text, ""),
    UniqueConstraint("account", "core_type", "cores", "env", "vol", name="kind_key"),
)

worker = Table(
    "worker",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incarnation", Text, nullable=False, unique=True),
    col("kind"),
    col("secret_hash", LargeBinary),
    col("pid", null=True),
    col("pid_start", Text, null=True),
    col("created"),
    col("closed", null=True),
    col("evidence", Text, ""),
    col("reserved", SmallInteger, "0"),  # on cores that a reservation keeps ready
)
Index("worker_live", worker.c.id, sqlite_where=worker.c.closed.is_(None), postgresql_where=worker.c.closed.is_(None))

submission = Table(
    "submission",
    metadata,
    Column("id", Id, primary_key=True),
    col("account"),
    col("token", LargeBinary),
    col("digest", LargeBinary),  # of everything but the code: a repeat must be the same
    col("function", Text),
    col("modules", Text),  # JSON
    col("python", Text),
    col("name", Text),
    col("label", Text),
    col("options", Text),  # JSON of wire.job.Options
    col("kind"),
    col("purpose", BigInteger, "0"),  # see store.meter
    col("first"),
    col("count", null=True),  # jids reserved from ``first``; null = not known before the items end
    col("head", Integer),  # jobs of the first chunk
    col("accepted"),
    col("final", SmallInteger),  # nothing more will come
    col("gate", SmallInteger),  # 0 open, 1 waits for other jobs, 2 stalled
    col("blame", null=True),  # the job whose failure stalled it
    col("parent_jid", null=True),
    col("parent_n", Integer, null=True),
    col("created"),
    col("seen"),  # last time that its client sent something
    UniqueConstraint("account", "token", name="submission_token"),
    Index("submission_first", "account", "first", "purpose", "kind", "created"),  # all that lists are filtered by
    Index("submission_name", "account", "name"),
)
Index(
    "submission_open",
    submission.c.seen,
    sqlite_where=literal_column("final = 0"),
    postgresql_where=literal_column("final = 0"),
)
_child: Any = submission.c.parent_jid.is_not(None)
Index("submission_parent", submission.c.parent_jid, sqlite_where=_child, postgresql_where=_child)

submission_env = Table(
    "submission_env",
    metadata,
    Column("submission", BigInteger, primary_key=True, autoincrement=False),
    col("data", Text),  # JSON; leaves only inside a Spec
)

chunk = Table(
    "chunk",
    metadata,
    Column("submission", BigInteger, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    col("first"),
    col("count", Integer),
    col("digest", LargeBinary),
)

dependency = Table(
    "dependency",
    metadata,
    Column("parent", BigInteger, primary_key=True, autoincrement=False),
    Column("child", BigInteger, primary_key=True, autoincrement=False),
)
"""Unfinished job ``parent`` holds the gate of submission ``child``; where that is negative, its end is to be told (webhooks)."""
Index("dependency_child", dependency.c.child)

job = Table(
    "job",
    metadata,
    Column("jid", Id, primary_key=True, autoincrement=False),
    col("submission"),
    col("account"),
    col("kind"),
    col("priority", Integer),
    col("status", SmallInteger),
    col("held", SmallInteger),  # 1 while a lease is out
    col("restartable", SmallInteger),
    col("attempts", SmallInteger),  # leases given and not given back
    col("retried", SmallInteger),  # attempts that ended in an exception and were tried again
    col("lost", SmallInteger),  # deaths that count against it, see act.finish
    col("doubts", SmallInteger),  # deaths of its worker before it was known to run
    col("cause", SmallInteger),
    col("due", null=True),
    col("created"),
    col("finished", null=True),
    col("purpose", BigInteger, "0"),  # its submission's
)
READY = and_(job.c.status == literal_column("1"), job.c.held == literal_column("0"))
WAITING = job.c.status == literal_column("0")
FAILED = job.c.status > literal_column("3")
Index("job_ready", job.c.kind, job.c.priority, job.c.jid, sqlite_where=READY, postgresql_where=READY)
Index("job_waiting", job.c.due, job.c.jid, sqlite_where=WAITING, postgresql_where=WAITING)
Index("job_failed", job.c.account, job.c.jid, sqlite_where=FAILED, postgresql_where=FAILED)

argument = Table(
    "argument",
    metadata,
    Column("jid", Id, primary_key=True, autoincrement=False),
    col("data", LargeBinary),
    col("blob", Text, null=True),
    col("preview", Text),
)

result = Table(
    "result",
    metadata,
    Column("jid", Id, primary_key=True, autoincrement=False),
    col("data", LargeBinary, null=True),
    col("blob", Text, null=True),
    col("preview", Text),
    col("failure", LargeBinary, null=True),  # msgpack of wire.job.Failure
)

lease = Table(
    "lease",
    metadata,
    Column("jid", Id, primary_key=True, autoincrement=False),
    col("n", SmallInteger),
    col("lease", LargeBinary),
    col("worker"),
    col("alone", SmallInteger),
    col("leased"),
    col("started", null=True),
    col("purpose", BigInteger, "0"),
    col("price", BigInteger, "0"),  # micro-dollars a core-hour, as it was when the job was given out
)
"""Attempts in hand. As many as the workers' windows hold, so that one worker's are found without an index."""

attempt = Table(
    "attempt",
    metadata,
    Column("jid", BigInteger, primary_key=True, autoincrement=False),
    Column("n", SmallInteger, primary_key=True, autoincrement=False),
    col("lease", LargeBinary),
    col("account"),
    col("kind"),
    col("worker"),
    col("cause", SmallInteger),
    col("leased"),
    col("started", null=True),
    col("ended"),
    col("runtime_us"),
    col("cpu_user_us"),
    col("cpu_system_us"),
    col("peak_memory"),
    col("failure", LargeBinary, null=True),  # of an attempt that was not the job's last
    col("figures", Text, null=True),  # JSON of wire.message.Figures, of one that was sampled
    col("purpose", BigInteger, "0"),
    col("billed_ms", BigInteger, "0"),
    col("cores", Integer, "0"),
    col("price", BigInteger, "0"),
    col("amount", BigInteger, "0"),  # billed_ms x cores x price; a dollar is picloud.wire.money.DOLLAR
    sqlite_with_rowid=False,
)
"""Attempts that ended: the ledger. Rows are added whole in one transaction and never changed by another."""

log = Table(
    "log",
    metadata,
    Column("jid", BigInteger, primary_key=True, autoincrement=False),
    Column("n", SmallInteger, primary_key=True, autoincrement=False),
    Column("stream", Text, primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    col("size", Integer),
    col("data", LargeBinary),
    col("at", null=True),  # when it came
)

sample = Table(
    "sample",
    metadata,
    Column("jid", BigInteger, primary_key=True, autoincrement=False),
    Column("n", SmallInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),  # ms since the attempt began, of its first sample
    col("data", LargeBinary),  # msgpack of a list of wire.message.Sample
)
"""What running jobs used, a minute or an hour a row; see :mod:`picloud.store.sample`."""

blob = Table(
    "blob",
    metadata,
    Column("id", Text, primary_key=True),
    col("account"),
    col("state", SmallInteger),  # 0 uploading, 1 live, 2 condemned, 3 given up, 4 swept
    col("size"),
    col("created"),
    col("touched"),
)
Index("blob_touched", blob.c.state, blob.c.touched)

for _owner in (argument, result):
    _used = _owner.c.blob.is_not(None)
    Index(f"{_owner.name}_blob", _owner.c.blob, sqlite_where=_used, postgresql_where=_used)
