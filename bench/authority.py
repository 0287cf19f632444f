"""How long does it take to let a request in: who asks, and whether the key has the scope? ``python -m bench.authority``

By itself, without HTTP: the first time the key is looked up in the store and its secret compared; later it is remembered. Keys
that expire are watched to the millisecond, so it is one of these.
"""

from __future__ import annotations

import asyncio
import base64
import tempfile
import time
from typing import Any

from bench.row import Row, show
from picloud.server.app import App
from picloud.server.auth import Authority
from picloud.server.fleet import Fleet
from picloud.server.http import Request
from picloud.server.routes import ROUTES
from picloud.server.storage import Storage
from picloud.settings import Settings
from picloud.store import account as accounts
from picloud.store.db import Database, Transaction

TARGET_MS = 0.1
ROUNDS, FIRST = 50_000, 500


class Bare:
    """As much of ``server.control.Control`` as letting in takes."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority


def measure(rounds: int = ROUNDS) -> list[Row]:
    """One key, ``rounds`` requests."""
    with tempfile.TemporaryDirectory() as folder:
        db = Database.open(f"sqlite:///{folder}/picloud.sqlite")
        try:
            return asyncio.run(_measure(db, rounds))
        finally:
            db.close()


async def _measure(db: Database, rounds: int) -> list[Row]:
    def make(tx: Transaction) -> tuple[int, str]:
        account = accounts.create(tx, "bench", 1)
        return accounts.key_create(tx, account, 1, expires=int(time.time() * 1000) + 86_400_000)

    key, secret = db.write(make).result()
    authority = Authority(Storage(db, Settings()), Fleet())
    app: Any = App(Bare(authority))  # type: ignore[arg-type]
    shown = {b"authorization": b"Basic " + base64.b64encode(f"{key}:{secret}".encode())}
    request = Request({}, None, None, shown, 0)  # type: ignore[arg-type]
    route = next(route for route in ROUTES if route.path == "/v1/job/status")
    first = await _each(app, route, request, authority, key, FIRST)
    known = await _each(app, route, request, authority, 0, rounds)
    return [
        Row("letting a request in: its key is known", f"{known:.4f} ms", f"<= {TARGET_MS} ms", known <= TARGET_MS,
            values={"ms": known}),
        Row("the same: its key is looked up", f"{first:.3f} ms", values={"ms": first}),
    ]  # fmt: skip


async def _each(app: Any, route: Any, request: Request, authority: Authority, key: int, rounds: int) -> float:
    """Milliseconds a request; ``key``: forgotten before each."""
    started = time.perf_counter()
    for _ in range(rounds):
        if key:
            authority.forget(key)
        await app._admit(route, request)
    return (time.perf_counter() - started) / rounds * 1000


if __name__ == "__main__":
    show(measure())
