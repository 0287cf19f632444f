"""Webhooks of labels, and the one that signs for single jobs.

put(tx, account, label, url, key, data, now)        one of that label gets another address and secret
find(tx, account, label) -> int                     its number; NotFound
every(tx, account) -> list[Webhook]
remove(tx, account, label)                          NotFound
OF_LABEL                                            statement: the number of the one of a label
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, func, insert, literal_column, select, update

from picloud.store.base import near
from picloud.store.rows import one, run
from picloud.store.webhook.schema import webhook
from picloud.wire.error import Conflict, NotFound

MOST = 1000
"""Webhooks of an account."""


class Webhook(NamedTuple):
    """All that is shown of one."""

    label: str
    url: str
    created: int  # epoch ms


def put(tx: Connection, account: int, label: str, url: str, key: str, data: bytes, now: int) -> None:
    """Have the ends of the label's jobs told there, of those that are submitted from now on.

    Args:
        label: "" = of no label: it signs for jobs that name an address themselves.
        key, data: the sealed signing secret.

    Raises:
        Conflict: the account has as many as it may.
    """
    row = {"url": url, "key": key, "data": data, "created": now}
    found = one(tx, _LOCK, account=account, label=label)
    if found is not None:
        tx.execute(update(webhook).where(webhook.c.id == found[0]).values(row))
        return
    if one(tx, _COUNT, account=account)[0] >= MOST:
        raise Conflict(f"an account has at most {MOST} webhooks", hint="remove one, or name the address in the call: _webhook=")
    tx.execute(insert(webhook), {"account": account, "label": label, **row})


def find(tx: Connection, account: int, label: str) -> int:
    """The number of the label's webhook.

    Raises:
        NotFound: there is none.
    """
    found = one(tx, OF_LABEL, account=account, label=label)
    if found is not None:
        return int(found[0])
    if not label:
        raise NotFound("nothing signs for _webhook yet", hint="picloud webhook secret makes the secret, and shows it once")
    labels = [one_.label for one_ in every(tx, account) if one_.label]
    raise NotFound(f"label {label[:80]!r} has no webhook", hint=near(label, labels, "picloud webhook list shows them"))


def every(tx: Connection, account: int) -> list[Webhook]:
    """All of an account, by label."""
    return [Webhook(*row) for row in run(tx, _EVERY, account=account).fetchall()]


def remove(tx: Connection, account: int, label: str) -> None:
    """Forget one. What waits to be delivered to it is given up.

    Raises:
        NotFound: the label has none.
    """
    run(tx, _REMOVE, id_=find(tx, account, label))


_of = webhook.c.account == bindparam("account", type_=BigInteger)
_label = webhook.c.label == bindparam("label", type_=Text)
OF_LABEL = select(webhook.c.id).where(_of, _label)
_LOCK = OF_LABEL.with_for_update()
_COUNT = select(func.count(literal_column("1"))).select_from(webhook).where(_of)
_EVERY = select(webhook.c.label, webhook.c.url, webhook.c.created).where(_of).order_by(webhook.c.label)
_REMOVE = delete(webhook).where(webhook.c.id == bindparam("id_", type_=BigInteger))
