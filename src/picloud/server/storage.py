"""The store as the event loop sees it: awaitable writes and reads, and the blobs beside them."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from picloud.settings import Settings
from picloud.store.db import Database, Few, Settled, Transaction
from picloud.wire.error import StorageFull

P = ParamSpec("P")
T = TypeVar("T")


def now_ms() -> int:
    """Wall clock in milliseconds since 1970; for rows and display, never for durations."""
    return time.time_ns() // 1_000_000


class Storage:
    """Database and free space, for coroutines."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db, self._settings = db, settings
        self._free_seen = (0.0, 0)
        self._gathered: list[tuple[Few, asyncio.Future[Future[Any]]]] = []  # acts of this turn of the loop

    async def write(self, act: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an act in a durable transaction; returns after it is on disk."""
        return await asyncio.wrap_future(self.db.write(lambda tx: act(tx, *args, **kwargs)))

    async def write_early(self, act: Callable[[Transaction], T], early: Callable[[T], None], few: str) -> T:
        """Like :meth:`write`; ``early(answer)`` is called in the loop when the act is committed and not yet on disk.

        ``few``: the kind of an act of a few rows, see :meth:`picloud.store.db.Database.write_few`.
        """
        loop, here = asyncio.get_running_loop(), threading.get_ident()

        def committed(answer: T) -> None:
            if threading.get_ident() == here:
                early(answer)
            else:
                loop.call_soon_threadsafe(early, answer)

        written = self.db.write_few(few, act, early=committed) if few else self.db.write(act, early=committed)
        return written.result() if isinstance(written, Settled) else await asyncio.wrap_future(written)

    async def write_few(self, act: Callable[[Transaction], T], *, durable: bool = True, lone: bool = True) -> T:
        """Like :meth:`write` for an act of a few rows. All that come in one turn of the loop are one transaction.

        Args:
            durable: False = a power cut may take it back, with all that comes after it.
            lone: who asks has nothing else to ask meanwhile.
        """
        loop = asyncio.get_running_loop()
        if not self._gathered:
            loop.call_soon(self._write_gathered)
        place: asyncio.Future[Future[T]] = loop.create_future()
        self._gathered.append((Few(act, durable, lone), place))
        written = await place
        return written.result() if written.done() else await asyncio.wrap_future(written)

    def _write_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        for (_, place), written in zip(gathered, self.db.write_together([few for few, _ in gathered]), strict=True):
            if not place.cancelled():
                place.set_result(written)

    async def note(self, act: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an act whose loss in a power cut does no harm (it survives the death of any process)."""
        return await asyncio.wrap_future(self.db.write(lambda tx: act(tx, *args, **kwargs), durable=False))

    async def read(self, query: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query in a short read transaction."""
        return await asyncio.wrap_future(self.db.read(lambda tx: query(tx, *args, **kwargs)))

    async def look(self, query: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for a query that finds a few rows by their keys, in less time."""
        found = self.db.look(lambda tx: query(tx, *args, **kwargs))
        return found.result() if isinstance(found, Settled) else await asyncio.wrap_future(found)

    def then(
        self,
        act: Callable[[Transaction], T],
        done: Callable[[T], Any],
        failed: Callable[[BaseException], Any],
        durable: bool = True,
        few: str = "",
    ) -> None:
        """Queue an act now, in order, and call ``done(result)`` or ``failed(error)`` in the loop after its commit, perhaps
        before this returns."""

        def settle(ended: asyncio.Future[T] | Settled[T]) -> None:
            error = ended.exception() if not ended.cancelled() else asyncio.CancelledError()
            if error is None:
                done(ended.result())
            else:
                failed(error)

        write = self.db.write if not few else partial(self.db.write_few, few)
        written = write(act, durable=durable)
        if isinstance(written, Settled):
            settle(written)
        else:
            asyncio.wrap_future(written).add_done_callback(settle)

    def check_space(self) -> None:
        """Refuse new work below the free-space floor (looked at once a second).

        Raises:
            StorageFull: with the figures.
        """
        seen, free = self._free_seen
        if time.monotonic() - seen > 1:
            free = shutil.disk_usage(self._settings.home).free
            self._free_seen = (time.monotonic(), free)
        if free < self._settings.min_free_disk:
            raise StorageFull(
                f"{free >> 20} MiB are free in {self._settings.home}, less than the "
                f"{self._settings.min_free_disk >> 20} MiB that are kept for running work",
                hint="free space there, or lower min_free_disk in settings.toml",
                free=free,
                floor=self._settings.min_free_disk,
                folder=str(Path(self._settings.home)),
            )
