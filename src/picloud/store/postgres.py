"""The writers of a PostgreSQL database: several threads, one transaction an act (READ COMMITTED), tried again on deadlock or
serialization failure."""

from __future__ import annotations

import queue
import threading
from typing import Any

from sqlalchemy import Engine

from picloud.store.connect import passing, translated
from picloud.store.work import Work

TRIES = 20
"""Runs of one act before its conflict is told to the caller."""


class Writers:
    """See the module.

    Args:
        engine: a pool of connections.
        count: of threads.
        errors: what the driver raises.
    """

    def __init__(self, engine: Engine, count: int, errors: tuple[type[Exception], ...]) -> None:
        self._engine, self._errors = engine, errors
        self._waiting: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._write, name=f"store-write-{n}", daemon=True) for n in range(count)]

    def start(self) -> None:
        """Begin to write."""
        for thread in self._threads:
            thread.start()

    def put(self, work: Work) -> None:
        """Write it as soon as a thread is free."""
        self._waiting.put(work)

    def close(self) -> None:
        """Commit what waits, and end; nothing is put any more."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        while work := self._waiting.get():
            if not work.future.set_running_or_notify_cancel():
                continue
            try:
                answer = self._run(work)
            except BaseException as error:  # noqa: BLE001 (whatever an act raises is its caller's)
                work.future.set_exception(translated(error) if isinstance(error, self._errors) else error)
            else:
                work.future.set_result(answer)

    def _run(self, work: Work) -> Any:
        for left in reversed(range(TRIES)):
            try:
                with self._engine.begin() as tx:
                    tx.info["must_last"] = False
                    answer = work.act(tx, *work.args)
                    if not work.durable and not tx.info["must_last"]:
                        tx.exec_driver_sql("SET LOCAL synchronous_commit = off")
                if work.early is not None:
                    work.early(answer)
                return answer
            except self._errors as error:
                if not left or not passing(error):
                    raise
        raise AssertionError("the last try returns or raises")
