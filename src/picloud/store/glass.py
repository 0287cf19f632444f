"""A look into an SQLite database from the thread that asks: a connection of its own, always open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from picloud.store.connect import OURS, raw_of

T = TypeVar("T")


class Glass:
    """Short queries of one thread; it opens its connection with the first.

    Args:
        engine: connections that read.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def look(self, query: Callable[..., T], args: tuple[Any, ...]) -> T:
        """The answer to a query, which sees one state of the database."""
        if self._connection is None:
            self._connection = self._engine.connect()
            self._connection.info[OURS] = True
            self._connection.begin()  # for SQLAlchemy for good; the real ones are ours
        raw = raw_of(self._connection)
        raw.execute("BEGIN")
        try:
            return query(self._connection, *args)
        finally:
            raw.execute("COMMIT")

    def close(self) -> None:
        """Ask no more."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
