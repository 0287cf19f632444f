"""How fast the store moves jobs: rows a second of each act, beside a busy thread too, and lists among a million jobs.

    python bench/store.py [--url URL] [--jobs 10000] [--million]

Every figure is of SQLite in WAL mode, with an fsync for every answer that promises one, unless a URL says otherwise.
``--million`` also makes a table of 1,000,000 jobs and times lists of it (a minute).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from picloud.store import account, job, listing, worker
from picloud.store.act import accept, finish, kill, lease
from picloud.store.choice import Choice
from picloud.store.db import Database
from picloud.wire.job import Options
from picloud.wire.message import Arguments, Chunk, Code, Outcome, Submit

CODE = Code(hashlib.sha256(b"noop").hexdigest(), "function", b"noop", {"name": "noop"})
ARGUMENT = b"\x80\x05" + b"x" * 20
CHUNK, LEASES, OUTCOMES = 2_000, 512, 500


def arguments(count: int) -> Arguments:
    """Packed arguments of so many small jobs."""
    return Arguments([len(ARGUMENT) * (i + 1) for i in range(count)], ARGUMENT * count, [str(i) for i in range(count)])


def now() -> int:
    """Epoch ms."""
    return int(time.time() * 1000)


class Clock:
    """Sums the wall and processor time of what runs under each name."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.used: dict[str, float] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Measure a block."""
        begun, used = time.perf_counter(), time.process_time()
        yield
        self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - begun
        self.used[name] = self.used.get(name, 0.0) + time.process_time() - used


class Bench:
    """One account, one worker, and the three acts in a row."""

    def __init__(self, db: Database) -> None:
        self.db, self.clock = db, Clock()
        self.account = self.write(account.create, f"bench-{os.urandom(4).hex()}", now())
        self.kind = self.worker = 0

    def write(self, act: Callable[..., Any], *args: Any, durable: bool = True) -> Any:
        """Run an act and wait for it."""
        return self.db.write(act, *args, durable=durable).result()

    def submit(self, count: int) -> int:
        """A map of so many jobs, in chunks; its first jid."""
        head = arguments(min(CHUNK, count))
        options = Options(core_type="c1")
        m = Submit(os.urandom(16), CODE.digest, [], "3.11", "noop", options, count, head, code=[CODE])
        with self.clock.of("accept"):
            made, kinds = self.write(lambda tx: accept.submit(tx, self.account, m, now=now()))
        for offset in range(CHUNK, count, CHUNK):
            c = Chunk(made.submission, offset, arguments(min(CHUNK, count - offset)))
            with self.clock.of("accept"):
                self.write(accept.chunk, self.account, c, os.urandom(32), now())
        if not self.worker:
            (self.kind,) = kinds
            self.worker = self.write(worker.create, os.urandom(16).hex(), self.kind, "secret", now())
        return int(made.first)

    def lease(self) -> list[Any]:
        """All ready jobs, leased in batches."""
        given: list[Any] = []
        while True:
            with self.clock.of("lease"):
                batch = self.write(lease.take, self.worker, self.kind, LEASES, [], now(), durable=False)
            if not batch:
                return given
            given += batch

    def finish(self, leases: list[Any]) -> None:
        """All leases, finished in batches."""
        for at in range(0, len(leases), OUTCOMES):
            outcomes = [Outcome(one.jid, one.n, one.lease, 0, 3, 1, 1, 0, "=null", b"\x80\x05N.")
                        for one in leases[at:at + OUTCOMES]]  # fmt: skip
            with self.clock.of("finish"):
                self.write(finish.finish, self.worker, outcomes, now())


def three_acts(bench: Bench, count: int) -> None:
    """Print the rate of each act and of all three."""
    bench.submit(10)
    bench.finish(bench.lease())  # compiles the statements
    bench.clock = Clock()
    bench.submit(count)
    bench.finish(bench.lease())
    bench.clock.spent["all three"] = sum(bench.clock.spent.values())
    bench.clock.used["all three"] = sum(bench.clock.used.values())
    for name, spent in bench.clock.spent.items():
        used = bench.clock.used[name]
        print(f"{name:28} {spent * 1e3:8.1f} ms {count / spent:12,.0f} jobs/s   of processor time {used * 1e3:7.1f} ms")


def single(bench: Bench) -> None:
    """Print the time of one durable call through the store."""
    spent = []
    for _ in range(200):
        begun = time.perf_counter()
        bench.submit(1)
        bench.finish(bench.lease())
        spent.append(time.perf_counter() - begun)
    spent.sort()
    print(f"{'one call, p50':28} {spent[100] * 1e3:8.2f} ms      p99 {spent[197] * 1e3:.2f} ms")


def beside_a_busy_thread(bench: Bench) -> None:
    """Print how long 2,000 rows take while another thread holds Python's lock all the time."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        for name, step in (("accept", lambda: bench.submit(CHUNK)), ("lease, finish", lambda: bench.finish(bench.lease()))):
            begun = time.perf_counter()
            step()
            print(f"{name + ' 2,000 beside a thread':28} {(time.perf_counter() - begun) * 1e3:8.1f} ms")
    finally:
        stop.set()
        thread.join()


def million(bench: Bench) -> None:
    """Print how long lists take among a million jobs, of which one in five is done."""
    begun = time.perf_counter()
    first = bench.submit(1_000_000)
    done = 0
    while done < 200_000:
        batch = bench.write(lease.take, bench.worker, bench.kind, LEASES, [], now(), durable=False)
        bench.finish(batch)
        done += len(batch)
    print(f"{'1,000,000 jobs made':28} {time.perf_counter() - begun:8.1f} s")
    queries: dict[str, Callable[[Any], Any]] = {
        "newest 50": lambda tx: listing.newest(tx, bench.account),
        "newest 50 done": lambda tx: listing.newest(tx, bench.account, Choice(state="done")),
        "newest 50 in error (none)": lambda tx: listing.newest(tx, bench.account, Choice(state="error")),
        "newest 50 queued": lambda tx: listing.newest(tx, bench.account, Choice(state="queued")),
        "newest 50 processing (none)": lambda tx: listing.newest(tx, bench.account, Choice(state="processing")),
        "newest 50 of a function": lambda tx: listing.newest(tx, bench.account, Choice(func="noop")),
        "newest 50 of no function": lambda tx: listing.newest(tx, bench.account, Choice(func="other")),
        "newest 50 since now (none)": lambda tx: listing.newest(tx, bench.account, Choice(since=now())),
        "status of 1,000,000": lambda tx: job.statuses(tx, bench.account, [(first, 1_000_000)]),
        "ready": job.ready,
        "counts": lambda tx: job.counts(tx, bench.account),
    }
    for name, query in queries.items():
        begun = time.perf_counter()
        bench.db.read(query).result()
        print(f"{name:28} {(time.perf_counter() - begun) * 1e3:8.1f} ms")
    begun = time.perf_counter()
    bench.write(kill.kill, bench.account, None, now())
    print(f"{'kill 10,000 of them':28} {(time.perf_counter() - begun) * 1e3:8.1f} ms")


def main() -> None:
    """Run it."""
    sys.setswitchinterval(0.0005)  # as the server does
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--million", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        db = Database.open(asked.url or f"sqlite:///{os.path.abspath(folder)}/bench.sqlite")
        bench = Bench(db)
        three_acts(bench, asked.jobs)
        single(bench)
        beside_a_busy_thread(bench)
        if asked.million:
            million(bench)
        db.close()


if __name__ == "__main__":
    main()
