"""What work is for: function, label, queue and core type, by which the account sees what it has spent.

of(m) -> Purpose
ensure(tx, account, purpose) -> int         the id, which is made where it is new
FIND                                        a query: the id of such a purpose
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from picloud.store.meter.schema import purpose
from picloud.store.rows import add, one, text
from picloud.wire.message import Submit


class Purpose(NamedTuple):
    """What the lines of the ledger are summed by."""

    function: str
    label: str
    queue: str
    core_type: str


def of(m: Submit) -> Purpose:
    """What the jobs of a submission are for."""
    return Purpose(text(m.name), m.options.label, m.options.queue, m.options.core_type)


def ensure(tx: Connection, account: int, wanted: Purpose) -> int:
    """The number of a purpose of the account."""
    key: dict[str, object] = {"account": account, **wanted._asdict()}
    tx.execute(add(purpose), key)
    return int(one(tx, FIND, **key)[0])


FIND = select(purpose.c.id).where(
    purpose.c.account == bindparam("account"), purpose.c.function == bindparam("function"),
    purpose.c.label == bindparam("label"), purpose.c.queue == bindparam("queue"), purpose.c.core_type == bindparam("core_type"),
)  # fmt: skip
