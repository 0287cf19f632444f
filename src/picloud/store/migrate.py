"""Bring a database to this version's tables.

A new database gets the tables of ``schema.py`` at once and is marked as of the newest revision; an older one is copied
(SQLite) and taken through ``migrations/versions``. A test proves that both ways end in the same tables.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, insert, inspect, text

from picloud.store.connect import make_private
from picloud.store.schema import counter
from picloud.store.tables import metadata
from picloud.wire.error import SetupError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0016"
"""Revision of ``schema.py``; the newest in ``migrations/versions``."""
COUNTERS = ("jid", "body")
"""Numbers that are handed out from 1 on."""


def up_to_date(engine: Engine) -> None:
    """Make or migrate the tables.

    Raises:
        SetupError: the database is from a newer version of PiCloud, or holds something else.
    """
    with engine.begin() as tx:
        if tx.dialect.name != "sqlite":
            tx.exec_driver_sql("SELECT pg_advisory_xact_lock(715517)")  # two servers may start at once
        found = revision(tx)
        if found is None:
            _create(tx)
            return
        if found == HEAD:
            return
        refuse_newer(found)
    if engine.url.database and engine.dialect.name == "sqlite":
        copy(Path(engine.url.database), found)
    _upgrade(engine)


def revision(tx: Connection) -> str | None:
    """The revision a database is marked with, or None where it is empty."""
    names = inspect(tx).get_table_names()
    if not names:
        return None
    if "alembic_version" not in names:
        raise SetupError("the database holds tables of another program", hint="give PiCloud a database of its own")
    return str(tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def copy(path: Path, found: str) -> Path:
    """Copy an SQLite file, with what its log holds, beside it; the copy's path."""
    target = path.with_name(f"{path.name}.before-{HEAD}-was-{found}")
    make_private(target)
    with sqlite3.connect(path) as source, sqlite3.connect(target) as sink:
        source.backup(sink)
    source.close()
    sink.close()
    return target


def config(connection: Connection) -> Config:
    """Alembic's settings for a run over an open connection."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.attributes["connection"] = connection
    return made


def _create(tx: Connection) -> None:
    metadata.create_all(tx)
    tx.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    tx.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
    tx.execute(insert(counter), [{"name": name, "value": 0} for name in COUNTERS])


def refuse_newer(found: str) -> None:
    """Raises SetupError for a revision that this version does not know."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(made).walk_revisions()}
    if found not in known:
        raise SetupError(f"the database is of revision {found}, this PiCloud knows {HEAD}: it is from a newer version",
                         hint="install the version that made it, or start with another PICLOUD_HOME",
                         found=found, known=HEAD)  # fmt: skip


def _upgrade(engine: Engine) -> None:
    from alembic import command

    with engine.begin() as tx:
        command.upgrade(config(tx), "head")
