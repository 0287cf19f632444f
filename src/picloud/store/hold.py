"""Whether jobs are held: they are accepted and wait, none is given to a worker.

    begin(tx, now)              from now on
    end(tx) -> bool             no more; whether they were held
    since(tx) -> int | None     epoch ms; None where they are not held

A restored server begins so: its operator looks first, and says ``picloud resume`` then.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from picloud.store.rows import add, run
from picloud.store.schema import counter

NAME = "held since"


def begin(tx: Connection, now: int) -> None:
    """Hold jobs from ``now`` (epoch ms) on; a repeat changes nothing."""
    run(tx, _BEGIN, name=NAME, value=now)


def end(tx: Connection) -> bool:
    """Let them go; whether they were held."""
    return bool(tx.execute(delete(counter).where(counter.c.name == NAME)).rowcount)


def since(tx: Connection) -> int | None:
    """Since when jobs are held (epoch ms), if they are."""
    found = tx.execute(select(counter.c.value).where(counter.c.name == NAME)).scalar_one_or_none()
    return None if found is None else int(found)


_BEGIN = add(counter)
