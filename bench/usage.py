"""How long does a page of the usage take over 1,000,000 attempts? ``python -m bench.usage``

The attempts lie in the database of a server: nine of ten those of the account that asks, over 90 days, of 40 functions under 25
labels on three core types. Each page is asked for over HTTP.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench.row import Row, show
from bench.server import Server
from bench.statistic import median, percentile

COUNT = 1_000_000
TARGET = 300.0  # ms
ROUNDS = 9
DAY = 86_400_000

PURPOSES = """
    WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 1000)
    INSERT INTO purpose SELECT n, CASE WHEN n % 10 = 0 THEN :other ELSE :account END, 'function ' || (n % 40),
        'label ' || (n / 40), CASE n % 7 WHEN 0 THEN 'queue ' || (n % 3) ELSE '' END,
        CASE n % 3 WHEN 0 THEN 'c1' WHEN 1 THEN 'c2' ELSE 'f2' END
    FROM number
"""
ATTEMPTS = """
    WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :count)
    INSERT INTO attempt (jid, n, lease, account, kind, worker, cause, leased, started, ended, runtime_us, cpu_user_us,
        cpu_system_us, peak_memory, purpose, billed_ms, cores, price, amount)
    SELECT 1000000 + n, 1, randomblob(16), CASE WHEN n % 10 = 0 THEN :other ELSE :account END, 1, 1 + n % 5, 0, :first, :first,
        :first + n * (90 * :day / :count), n % 1000 * 997, 0, 0, 0, 1 + (n + 9) % 1000, n % 1000, 1, 50000, n % 1000 * 50000
    FROM number
"""
SUMS = """
    INSERT INTO usage SELECT account, ended / :day, purpose, worker % 16, count(*), sum(billed_ms * cores), sum(amount)
    FROM attempt WHERE TRUE GROUP BY 1, 2, 3, 4 ON CONFLICT DO NOTHING
"""
PROGRAM = """
import json, sys, time, cloud

took = {}
pages = {by: (lambda by=by: cloud.usage(by)) for by in ("day", "label", "function", "type", "queue", "job")}
pages["credit"] = cloud.credit
for name, page in pages.items():
    page()
    took[name] = []
    for _ in range(int(sys.argv[1])):
        t = time.perf_counter()
        page()
        took[name].append((time.perf_counter() - t) * 1e3)
print(json.dumps(took))
"""


def fill(database: Path, count: int) -> int:
    """So many attempts, with the sums of their days as acts would have made them; how many rows these are."""
    first = int(time.time() * 1000) // DAY * DAY - 90 * DAY
    with closing(sqlite3.connect(database)) as tx, tx:
        account = tx.execute("SELECT min(id) FROM account").fetchone()[0]
        numbers = {"account": account, "other": account + 1, "count": count, "day": DAY, "first": first}
        for statement in (PURPOSES, ATTEMPTS, SUMS):
            tx.execute(statement, {name: value for name, value in numbers.items() if f":{name}" in statement})
        return int(tx.execute("SELECT count(*) FROM usage").fetchone()[0])


def measure(count: int = COUNT) -> list[Row]:
    """The pages of one account."""
    with Server() as server:
        server.down()
        sums = fill(server.home / "picloud.sqlite", count)
        server.up()
        client = server.python("-c", PROGRAM, str(ROUNDS))
        out, _ = client.communicate(timeout=300)
        if client.returncode:
            raise RuntimeError(f"the client ended with {client.returncode}\n{server.log_tail()}")
        took: dict[str, list[float]] = json.loads(out)
    slowest = max(percentile(each, 1.0) for each in took.values())
    told = ", ".join(f"{name} {median(each):.0f}" for name, each in took.items())
    return [
        Row(
            f"a page of the usage over {count:,} attempts ({sums:,} sums)",
            f"{told} ms; the slowest of all {slowest:.0f} ms",
            f"< {TARGET:.0f} ms",
            slowest < TARGET,
            values={"took_ms": took, "sums": sums},
        )
    ]


if __name__ == "__main__":
    show(measure())
