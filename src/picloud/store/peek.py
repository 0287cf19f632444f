"""Look at a database without changing it, for ``picloud doctor``."""

from __future__ import annotations

import sqlite3

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from picloud.store import migrate
from picloud.wire.error import SetupError


def revisions(url: str) -> tuple[str | None, str]:
    """The revision of a database (None = it is empty), and the one this version needs.

    Args:
        url: an SQLAlchemy URL, as in the setting ``database``.

    Raises:
        SetupError: it cannot be opened, is damaged, or belongs to another program.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(f"file:{parsed.database}?mode=ro", uri=True))
    else:
        engine = create_engine(parsed.set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as tx:
            return migrate.revision(tx), migrate.HEAD
    except (DBAPIError, sqlite3.Error) as error:
        said = str(getattr(error, "orig", error)).strip().splitlines()
        hint = "is it running, and may this user open it?" if parsed.get_backend_name() != "sqlite" else "restore it from a copy"
        raise SetupError(f"cannot open the database {parsed!r}: {said[0] if said else error}", hint=hint) from error
    finally:
        engine.dispose()
