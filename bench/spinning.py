"""How long does the store take for 2,000 rows beside a thread that spins in the same process? ``python -m bench.spinning``

One act: ``accept.submit`` with 2,000 jobs, from the hand-over to the writer until it is on disk, with the interpreter's
switch interval as the server sets it.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.row import Row, show
from bench.statistic import median, span
from picloud.store import account as accounts
from picloud.store.act import accept
from picloud.store.db import Database
from picloud.wire.job import Options
from picloud.wire.message import Arguments, Code, Submit

ROWS = 2_000
SWITCH_SECONDS = 0.0005


def measure(rounds: int = 20) -> list[Row]:
    """``rounds`` submissions beside a spinning thread, and as many without."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with tempfile.TemporaryDirectory(prefix="picloud-bench-") as folder:
            database = Database.open(f"sqlite:///{folder}/picloud.sqlite")
            account = database.write(accounts.create, "bench", _now()).result()
            quiet = [_submit_ms(database, account) for _ in range(rounds)]
            with _spinning():
                beside = [_submit_ms(database, account) for _ in range(rounds)]
            database.close()
    finally:
        sys.setswitchinterval(before)
    return [
        Row(
            f"accepting {ROWS:,} rows beside a spinning thread",
            f"{span(beside)} ms (alone {span(quiet)})",
            "<= 50 ms",
            median(beside) <= 50,
            values={"beside_ms": beside, "alone_ms": quiet},
        )
    ]


def _submit_ms(database: Database, account: int) -> float:
    submission = _submission()
    began = time.perf_counter()
    database.write(lambda tx: accept.submit(tx, account, submission, now=_now())).result()
    return (time.perf_counter() - began) * 1e3


def _submission() -> Submit:
    body = b"a function"
    code = Code(hashlib.sha256(body).hexdigest(), "function", body)
    packed = [b"\x80\x05K\x01." for _ in range(ROWS)]
    ends = [5 * (index + 1) for index in range(ROWS)]
    arguments = Arguments(ends, b"".join(packed), [str(index) for index in range(ROWS)])
    return Submit(
        token=os.urandom(16),
        function=code.digest,
        modules=[],
        python="3.11",
        name="noop",
        options=Options(core_type="c1"),
        count=ROWS,
        arguments=arguments,
        code=[code],
    )


@contextmanager
def _spinning() -> Iterator[None]:
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            for _ in range(1000):
                pass

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _now() -> int:
    return int(time.time() * 1000)


if __name__ == "__main__":
    show(measure())
