"""What the database of a stopped server must say once every job is finished."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

LAST_UNFINISHED = 2
"""Statuses above are final."""
WORKER_LOST = 7

HANDLERS = "SELECT attempt.jid FROM attempt JOIN purpose ON purpose.id = attempt.purpose WHERE purpose.queue <> ''"
CHECKS = {
    "leases of no live job": "SELECT count(*) FROM lease LEFT JOIN job USING (jid) WHERE job.jid IS NULL OR job.status > :last",
    "leases without held": "SELECT count(*) FROM lease JOIN job USING (jid) WHERE job.held = 0",
    "held without a lease": "SELECT count(*) FROM job LEFT JOIN lease USING (jid) WHERE job.held = 1 AND lease.jid IS NULL",
    "unfinished jobs": "SELECT count(*) FROM job WHERE status <= :last",
    "finished jobs without a time": "SELECT count(*) FROM job WHERE status > :last AND finished IS NULL",
    "leases of closed workers": (
        "SELECT count(*) FROM lease JOIN worker ON worker.id = lease.worker WHERE worker.closed IS NOT NULL"
    ),
    "workers still open": "SELECT count(*) FROM worker WHERE closed IS NULL",
    "jobs whose attempts are not all in the ledger": (
        "SELECT count(*) FROM job WHERE attempts <> (SELECT count(*) FROM attempt WHERE attempt.jid = job.jid)"
    ),
    "jobs without exactly one accepted attempt": (
        "SELECT count(*) FROM job WHERE 1 <> (SELECT count(*) FROM attempt WHERE attempt.jid = job.jid AND cause <> :lost) "
        f"AND jid NOT IN ({HANDLERS})"
    ),
    "handlers without exactly one attempt": (  # they are replaced, never tried again
        f"SELECT count(*) FROM (SELECT jid FROM ({HANDLERS}) GROUP BY jid HAVING count(*) <> 1)"
    ),
    "lines that do not multiply": "SELECT count(*) FROM attempt WHERE amount <> billed_ms * cores * price",
    "lost attempts that cost something": "SELECT count(*) FROM attempt WHERE cause = :lost AND amount <> 0",
    "days and purposes whose sums are not those of their lines": (
        "SELECT count(*) FROM (SELECT account, day, purpose, sum(n), sum(ms), sum(amount) FROM ("
        "SELECT account, ended / 86400000 AS day, purpose, 1 AS n, billed_ms * cores AS ms, amount FROM attempt UNION ALL "
        "SELECT account, day, purpose, -attempts, -core_ms, -amount FROM usage) "
        "GROUP BY account, day, purpose HAVING sum(n) <> 0 OR sum(ms) <> 0 OR sum(amount) <> 0)"
    ),
    "attempts that end before they begin": "SELECT count(*) FROM attempt WHERE ended < coalesce(started, leased)",
}
"""Each counts what must not be there."""


def faults(home: Path) -> list[str]:
    """What does not balance in the database of ``home``, one line each."""
    with closing(sqlite3.connect(f"file:{home / 'picloud.sqlite'}?mode=ro", uri=True)) as database:
        numbers = {"last": LAST_UNFINISHED, "lost": WORKER_LOST}
        found = {name: database.execute(query, numbers).fetchone()[0] for name, query in CHECKS.items()}
        found["damage: " + database.execute("PRAGMA quick_check").fetchone()[0]] = 0
    made = [f"ledger: {count} {name}" for name, count in found.items() if count]
    return made + [f"ledger: {name}" for name in found if name.startswith("damage: ") and name != "damage: ok"]
