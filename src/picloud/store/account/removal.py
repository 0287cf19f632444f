"""The end of an account: who may come in, and its name, in one act.

    begin(tx, account, now)                             Conflict: it is not switched off; NotFound
    going(tx, cleared=False) -> list[Going]             those that something may be left of, or all that were ever removed
    clear(tx, account, now)                             nothing is left

What it had goes afterwards, see :mod:`picloud.store.removal`. Its row stays, for lines of the ledger and of the audit log name
it; it is called by its former name and its number from then on, ``anna~7``, which no account can be named: so nothing finds it by
its name, and the name is free. The same happens to users who belong to no other account: their addresses, passwords and logins
elsewhere are removed.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, Text, cast, delete, literal, select, update

from picloud.store.account.schema import endpoint_key, identity, invitation, membership, person, ssh_key
from picloud.store.schema import account, api_key, login
from picloud.wire.error import Conflict, NotFound

MARK = "~"
"""Between the former name and the number."""


class Going(NamedTuple):
    """An account that was removed."""

    id: int
    name: str  # that it had
    created: int
    gone: int  # epoch ms


def begin(tx: Connection, account_id: int, now: int) -> None:
    """Remove an account: nobody comes in any more, and its name is free.

    Args:
        now: epoch ms.

    Raises:
        NotFound: there is none, or it was removed already.
        Conflict: it is not switched off.
    """
    here = select(account.c.name, account.c.active).where(account.c.id == account_id, account.c.gone == 0).with_for_update()
    row = tx.execute(here).one_or_none()
    if row is None:
        raise NotFound(f"there is no account {account_id}")
    if row.active:
        raise Conflict(f"the account {row.name} is in use", hint=f"picloud admin account deactivate {row.name}")
    named = f"{row.name}{MARK}{account_id}"
    tx.execute(update(account).where(account.c.id == account_id).values(name=named, gone=now))
    _end_keys(tx, account_id)
    _end_users(tx, account_id, now)


def _end_keys(tx: Connection, account_id: int) -> None:
    mine = select(api_key.c.id).where(api_key.c.account == account_id)
    for table in (ssh_key, endpoint_key):
        tx.execute(delete(table).where(table.c.api_key.in_(mine)))
    for held in (api_key, login, invitation):
        tx.execute(delete(held).where(held.c.account == account_id))


def _end_users(tx: Connection, account_id: int, now: int) -> None:
    """Its members are none any more; who is a member of nothing then is no user either."""
    gone = delete(membership).where(membership.c.account == account_id).returning(membership.c.person)
    members = set(tx.execute(gone).scalars())
    alone = members - set(tx.execute(select(membership.c.person).where(membership.c.person.in_(members))).scalars())
    for table in (identity, invitation, login):
        tx.execute(delete(table).where(table.c.person.in_(alone)))
    named = person.c.name + literal(MARK) + cast(person.c.id, Text)
    former = update(person).where(person.c.id.in_(alone))
    tx.execute(former.values(name=named, email="", password="", changed=now))


def going(tx: Connection, *, cleared: bool = False) -> list[Going]:
    """Accounts that were removed and that something may be left of, oldest first.

    Args:
        cleared: those too of which nothing is left, as far as is known.
    """
    rows = select(account.c.id, account.c.name, account.c.created, account.c.gone).where(account.c.gone != 0)
    rows = rows if cleared else rows.where(account.c.cleared == 0)
    return [
        Going(number, name.rpartition(MARK)[0], created, gone)
        for number, name, created, gone in tx.execute(rows.order_by(account.c.id))
    ]


def clear(tx: Connection, account_id: int, now: int) -> None:
    """Nothing is left of what an account had."""
    tx.execute(update(account).where(account.c.id == account_id, account.c.cleared == 0).values(cleared=now))
