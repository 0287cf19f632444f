"""The bytes of messages: in the message's own row where they are few, else in a row that all copies share.

stored(tx, account, bodies, copies, now) -> list[Stored]
release(tx, ids)                            once for each message or dead letter that goes
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Integer, bindparam, delete, insert, update

from picloud.store import blob as blobs
from picloud.store.queue.schema import OWN, body
from picloud.store.rows import Listed, as_list, one, run, run_rows
from picloud.store.schema import counter
from picloud.wire.queue import Body


class Stored(NamedTuple):
    """Where the bytes of one message are."""

    kind: int
    size: int
    data: bytes  # those for the message's own row
    body: int  # or the row that has them


def stored(tx: Connection, account: int, given: Sequence[Body], copies: Sequence[int], now: int) -> list[Stored]:
    """Store bytes of messages, each for so many copies.

    Raises:
        NotFound: a blob is not a live one of the account.
    """
    large = [at for at, one_ in enumerate(given) if one_.blob or len(one_.data) > OWN]
    if not large:
        return [Stored(each.kind, len(each.data), each.data, 0) for each in given]
    names = {given[at].blob for at in large} - {""}
    blobs.refer(tx, account, names, now)
    size = blobs.sizes(tx, names) if names else {}
    last = int(one(tx, _RESERVE, more=len(large))[0])
    numbers = dict(zip(large, range(last - len(large) + 1, last + 1), strict=True))
    run_rows(
        tx, _ADD, [{"id": numbers[at], "data": given[at].data, "blob": given[at].blob, "copies": copies[at]} for at in large]
    )
    return [
        Stored(each.kind, size.get(each.blob, len(each.data)), b"" if at in numbers else each.data, numbers.get(at, 0))
        for at, each in enumerate(given)
    ]


def release(tx: Connection, ids: Iterable[int]) -> None:
    """Let go of these rows, 0 being none; those that nothing names any more are removed."""
    if gone := Counter(number for number in ids if number):
        run_rows(tx, _RELEASE, [{"id_": number, "fewer": fewer} for number, fewer in sorted(gone.items())])
        run(tx, _DROP, ids=as_list(sorted(gone)))


_ids = Listed("ids")
_ADD = insert(body)
_RELEASE = update(body).where(body.c.id == bindparam("id_")).values(copies=body.c.copies - bindparam("fewer", type_=Integer))
_DROP = delete(body).where(body.c.id.in_(_ids.chosen()), body.c.copies <= 0)
_RESERVE = (
    update(counter)
    .where(counter.c.name == "body")
    .values(value=counter.c.value + bindparam("more", type_=BigInteger))
    .returning(counter.c.value)
)
