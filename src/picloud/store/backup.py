"""A copy of the database while others write, and what is changed in one that is taken up again.

    copied(url, target) -> Copied               a copy of one state, and the blobs that this state names
    recovered(source, url)                      brings it into an empty database
    taken_up(tx, first, now) -> TakenUp         makes it fit to be served again
    beyond(last, since, now) -> int             a jid that nobody was given meanwhile

An SQLite file is copied by SQLite itself within one read transaction, a PostgreSQL database by ``pg_dump`` in the snapshot in
which we read the names of its blobs. Writers are held up by neither.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, create_engine, func, insert, inspect, select, text, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from picloud.store import blob, hold, migrate
from picloud.store import worker as workers
from picloud.store.act import revoke
from picloud.store.connect import database_url, first_line, make_private
from picloud.store.queue.schema import handler
from picloud.store.schema import counter, job, lease, submission
from picloud.store.secret.schema import secret
from picloud.store.tables import metadata
from picloud.wire.error import Corrupt, SetupError
from picloud.wire.job import Status

APART = 1_000_000_000
"""Jids left out after a backup, whatever happened, and what jids begin at a multiple of."""
A_MS = 100
"""Jids left out for each millisecond since: several times as many as any machine can take in."""
PATIENCE = 60
"""Seconds that the copy waits for a lock of a server that just starts or ends."""
EVIDENCE = "restored from a backup"
EMPTY = "the database for the restored server is not empty"


class Copied(Struct):
    """What a copy holds."""

    revision: str
    last: int  # jid given last
    blobs: list[tuple[str, int]]  # name and bytes of each that it names, by name


class TakenUp(Struct):
    """What a copy began anew with."""

    revoked: int  # jobs that were in workers' hands
    once: int  # queued jobs that must never run twice, and may have run since the copy
    sealed: int  # secrets


def copied(url: str, target: Path) -> Copied:
    """Copy the database at an SQLAlchemy URL into a new file, private to its owner, on disk when this returns.

    Raises:
        SetupError: it cannot be opened or read, or pg_dump is missing.
        Corrupt: SQLite finds it damaged.
    """
    parsed = database_url(url)
    if not shares_file(parsed):
        return _dumped(parsed, target)
    make_private(target)
    try:
        _copy_file(Path(str(parsed.database)), target)
        with closing(sqlite3.connect(target)) as copy:
            (said,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise Corrupt(f"the database {parsed.database} is damaged: {said}", hint="see docs/explain/backup.md: damage")
        engine = create_engine(f"sqlite:///{target}")
        with engine.connect() as tx:
            found = _described(tx)
        engine.dispose()
    except (sqlite3.Error, DBAPIError) as error:
        raise SetupError(f"cannot copy {parsed.database}: {first_line(error)}", hint="is it there, and yours?") from error
    return found


def sort_of(url: str) -> str:
    """sqlite or postgresql."""
    return database_url(url).get_backend_name()


def shown(url: str) -> str:
    """The URL without its password."""
    return repr(database_url(url))


def shares_file(url: URL) -> bool:
    """Whether the database is an SQLite file."""
    return url.get_backend_name() == "sqlite"


def _copy_file(path: Path, target: Path) -> None:
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=PATIENCE)) as source:
        with closing(sqlite3.connect(target)) as sink:
            source.backup(sink)
            sink.execute("PRAGMA journal_mode = DELETE")  # one file, whatever a reader of it does


def _described(tx: Connection) -> Copied:
    found = migrate.revision(tx)
    if found != migrate.HEAD:
        raise SetupError(f"the database is of revision {found or 'none'}, this PiCloud knows {migrate.HEAD}",
                         hint="start the server of this version once: picloud up")  # fmt: skip
    last = tx.execute(select(counter.c.value).where(counter.c.name == "jid")).scalar_one()
    return Copied(found, int(last), blob.named(tx))


def _dumped(url: URL, target: Path) -> Copied:
    """``pg_dump`` in a snapshot of ours, in which we read what the dump will hold."""
    engine = create_engine(url)
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as tx:
            snapshot = tx.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            found = _described(tx)
            make_private(target)
            _postgresql(url, "pg_dump", "--format=custom", "--no-owner", f"--snapshot={snapshot}", f"--file={target}")
    except DBAPIError as error:
        raise SetupError(f"cannot read the database {url!r}: {first_line(error)}", hint="see picloud doctor") from error
    finally:
        engine.dispose()
    handle = os.open(target, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    return found


def _postgresql(url: URL, program: str, *words: str) -> None:
    """Run a program of PostgreSQL for a database; its password is told by the environment, which other users cannot read."""
    if shutil.which(program) is None:
        raise SetupError(f"{program} is missing", hint="install PostgreSQL's client programs, of the server's version or newer")
    password = {"PGPASSWORD": str(url.password)} if url.password else {}
    place = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    done = subprocess.run([program, f"--dbname={place}", *words], env=os.environ | password, capture_output=True, text=True,
                          check=False)  # fmt: skip
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise SetupError(f"{program} failed: {said}", hint="is it of the server's version or newer?")


def check_empty(url: str) -> None:
    """The database may take a backup.

    Raises:
        SetupError: it holds tables, or cannot be opened.
    """
    parsed = database_url(url)
    if shares_file(parsed):
        if parsed.database and Path(parsed.database).exists():
            raise SetupError(f"{EMPTY}: {parsed.database}", hint="move it away first, or restore into another PICLOUD_HOME")
        return
    with _opened(parsed) as tx:
        if inspect(tx).get_table_names():
            raise SetupError(f"{EMPTY}: {parsed!r}", hint="make a new one and set PICLOUD_DATABASE to its URL")


@contextmanager
def _opened(url: URL) -> Iterator[Connection]:
    engine = create_engine(url)
    try:
        with engine.connect() as tx:
            yield tx
    except DBAPIError as error:
        raise SetupError(f"cannot open the database {url!r}: {first_line(error)}", hint="see picloud doctor") from error
    finally:
        engine.dispose()


def recovered(source: Path, url: str) -> None:
    """Bring a copy into the empty database at ``url``; :meth:`picloud.store.db.Database.open` migrates it then.

    Raises:
        SetupError: the database is not empty, or refuses it.
    """
    check_empty(url)
    parsed = database_url(url)
    if shares_file(parsed):
        target = Path(str(parsed.database))
        make_private(target)
        shutil.copyfile(source, target)
    else:
        _postgresql(parsed, "pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", str(source))


def beyond(last: int, since: int, now: int) -> int:
    """A jid beyond all that were given in an installation since it was copied.

    Args:
        last: the one given last in the copy.
        since: when it was copied, epoch ms.
        now: epoch ms.
    """
    least = last + APART + A_MS * max(now - since, 0)
    return -(-least // APART) * APART


def taken_up(tx: Connection, first: int, now: int) -> TakenUp:
    """Make a copy fit to be served: what was in workers' hands comes back, no number is given twice, nothing starts by itself.

    Args:
        first: jid up to which all count as given.
        now: epoch ms.
    """
    held = int(tx.execute(select(func.count()).select_from(lease)).scalar_one())
    for one in workers.live(tx):
        revoke.revoke(tx, one.id, EVIDENCE, now, blameless=True)
    last = int(tx.execute(select(counter.c.value).where(counter.c.name == "jid")).scalar_one())
    tx.execute(update(counter).where(counter.c.name == "jid").values(value=max(last, first)))
    _skip_numbers(tx, max(first - last, 0))
    _mark_submissions(tx, max(first - last, 0), now)
    blob.drop_unnamed(tx)  # their bytes were not copied, so nobody may come to name them
    hold.begin(tx, now)
    sealed = int(tx.execute(select(func.count()).select_from(secret)).scalar_one())
    return TakenUp(held, int(tx.execute(_ONCE).scalar_one()), sealed)


def _skip_numbers(tx: Connection, many: int) -> None:
    """Tickets of messages and handles of files that were given after the copy mean nothing now, and shall never mean others."""
    if tx.dialect.name == "sqlite":
        tx.execute(text("UPDATE sqlite_sequence SET seq = seq + :many"), {"many": many})
        return
    for table in metadata.sorted_tables:
        column = next(iter(table.primary_key.columns)) if len(table.primary_key.columns) == 1 else None
        if column is None or column is not table.autoincrement_column:
            continue
        names = {"table": table.name, "column": column.name}
        sequence = tx.execute(text("SELECT pg_get_serial_sequence(quote_ident(:table), :column)"), names).scalar_one()
        if sequence:
            tx.execute(text(f"SELECT setval('{sequence}', nextval('{sequence}') + :many)"), {"many": many})


def _mark_submissions(tx: Connection, many: int, now: int) -> None:
    """A client that was sending a map goes on with a number that was given after the copy: no other may get that one.

    SQLite gives the number after the newest row's, so a row of nobody's stands for those left out, until a newer one comes."""
    if tx.dialect.name != "sqlite":
        return
    newest = int(tx.execute(select(func.coalesce(func.max(submission.c.id), 0))).scalar_one())
    row: dict[str, Any] = {
        "id": newest + many, "account": 0, "token": secrets.token_bytes(16), "digest": b"", "function": "", "modules": "[]",
        "python": "", "name": "", "label": "", "options": "{}", "kind": 0, "first": 0, "count": 0, "head": 0, "accepted": 0,
        "final": 1, "gate": 0, "created": now, "seen": now,
    }  # fmt: skip
    if many:
        tx.execute(insert(submission), row)


_handled = select(handler.c.jid).where(handler.c.jid == job.c.jid).exists()
_ONCE = select(func.count()).where(job.c.status.in_([int(Status.waiting), int(Status.queued)]), job.c.restartable == 0, ~_handled)
