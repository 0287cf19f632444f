"""Acts on their way to the database, and their answers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


@dataclass(slots=True)
class Work:
    """One act that waits for its transaction; see :meth:`picloud.store.db.Database.write`."""

    act: Callable[..., Any]
    args: tuple[Any, ...]
    durable: bool
    early: Callable[[Any], object] | None
    future: Future[Any]

    def run(self, tx: Connection) -> Any:
        return self.act(tx, *self.args)


class Settled(Generic[T]):
    """An answer that is there already: what is asked of a future, without its locks."""

    __slots__ = ("_answer", "_error")

    def __init__(self, answer: T | None = None, error: BaseException | None = None) -> None:
        self._answer, self._error = answer, error

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return False

    def exception(self, timeout: float | None = None) -> BaseException | None:
        return self._error

    def result(self, timeout: float | None = None) -> T:
        if self._error is not None:
            raise self._error
        return self._answer  # type: ignore[return-value]


Answer = Future[T] | Settled[T]


def must_last(tx: Connection) -> None:
    """The transaction shall be on disk before its answers are given, also where its acts were called not durable."""
    tx.info["must_last"] = True


def lasts(tx: Connection) -> bool:
    """Whether an act of this transaction asked for the disk, see :func:`must_last`."""
    return bool(tx.info.get("must_last"))
