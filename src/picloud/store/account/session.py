"""Tickets that work once, and the tokens of who is logged in."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, and_, bindparam, delete, insert, select, update

from picloud.store.account.key import Shown
from picloud.store.account.schema import invitation, membership
from picloud.store.account.secret import digest, new
from picloud.store.rows import constant, one, run, text
from picloud.store.schema import account, api_key, login
from picloud.wire.error import NotAuthorized
from picloud.wire.scope import EVERYTHING, Role, Scope

NAMED = 16
"""Hexadecimal digits of a session's name."""
LONGEST_AGENT = 200
"""Characters."""


def ticket_create(
    tx: Connection, account_id: int, now: int, lifetime_ms: int, scopes: int = EVERYTHING, *, person: int = 0, key: int = 0
) -> str:
    """A ticket that can be redeemed once, for so long, for a token with these scopes."""
    return _enter(tx, account=account_id, session=0, expires=now + lifetime_ms, scopes=int(scopes), person=person, api_key=key)


def ticket_redeem(tx: Connection, ticket: str, now: int, lifetime_ms: int, agent: str = "") -> str:
    """A token, valid for so long, in exchange for a ticket.

    Raises:
        NotAuthorized: unknown, used or expired.
    """
    used = delete(login).where(login.c.hash == digest(ticket), login.c.session == 0, login.c.expires > now)
    found = tx.execute(used.returning(login.c.account, login.c.scopes, login.c.person, login.c.api_key)).mappings().one_or_none()
    if found is None:
        raise NotAuthorized("this login link was used or is too old", hint="`picloud login-link` prints a fresh one")
    return _enter(tx, **found, session=1, expires=now + lifetime_ms, created=now, used=now, agent=_agent(agent))


def session_create(tx: Connection, account_id: int, person: int, now: int, lifetime_ms: int, agent: str = "") -> str:
    """A token of a user in an account, valid for so long; what she may do with it her role says."""
    return _enter(tx, account=account_id, session=1, expires=now + lifetime_ms, scopes=int(EVERYTHING), person=person,
                  created=now, used=now, agent=_agent(agent))  # fmt: skip


class Session(NamedTuple):
    """Somebody is logged in."""

    name: str  # the beginning of the token's sha256, in hex: by this it is ended
    account: str
    created: int  # epoch ms; 0 = not known
    used: int
    expires: int
    agent: str


def session_name(token: str) -> str:
    """Under which name the session of a token is listed."""
    return digest(token).hex()[:NAMED]


def sessions(tx: Connection, account_id: int, person: int, now: int) -> list[Session]:
    """Where a user is logged in, the newest first; where ``person`` is 0, who is in that account without a name."""
    rows = run(tx, _SESSIONS_OF if person else _NAMELESS, now=now, **({"person": person} if person else {"account": account_id}))
    return [Session(bytes(row[0]).hex()[:NAMED], *row[1:]) for row in rows.fetchall()]


def session_used(tx: Connection, token: str, now: int) -> None:
    """Write down that a token was shown."""
    tx.execute(update(login).where(login.c.hash == digest(token)).values(used=now))


def sessions_end(tx: Connection, account_id: int, person: int, names: Collection[str], now: int) -> int:
    """End sessions that :func:`sessions` lists under these names; how many there were."""
    rows = run(tx, _SESSIONS_OF if person else _NAMELESS, now=now, **({"person": person} if person else {"account": account_id}))
    chosen = [bytes(row[0]) for row in rows.fetchall() if bytes(row[0]).hex()[:NAMED] in names]
    return int(tx.execute(delete(login).where(login.c.hash.in_(chosen))).rowcount) if chosen else 0


def session_end(tx: Connection, token: str) -> None:
    """End a token."""
    tx.execute(delete(login).where(login.c.hash == digest(token)))


def token_check(tx: Connection, token: str, now: int) -> Shown:
    """Who shows this token.

    Raises:
        NotAuthorized: unknown or expired, as may be the key that it was made by; or its user is no member any more, or the
            account is switched off.
    """
    return _shown(tx, digest(token), now)


def token_opens(tx: Connection, hashed: bytes, now: int) -> list[int]:
    """The account whose running jobs the token with this sha256 opens, in a list; empty if it opens none (any more)."""
    try:
        found = _shown(tx, hashed, now)
    except NotAuthorized:
        return []
    return [found.id] if found.scopes & Scope.code else []


def _shown(tx: Connection, hashed: bytes, now: int) -> Shown:
    row = one(tx, _TOKEN, hash=hashed, now=now)
    if row is None or (row[4] and row[5] is None) or (row[7] and now >= row[7]):
        raise NotAuthorized("the session has ended", hint="log in again")
    account_id, name, scopes, until, person, role, key, key_until = row
    return Shown(account_id, name, Scope(scopes), min(until, key_until or until), key, person, Role(role or Role.owner))


def expire(tx: Connection, now: int) -> int:
    """Remove what has expired; how much."""
    links = tx.execute(delete(invitation).where(invitation.c.expires <= now)).rowcount
    return links + tx.execute(delete(login).where(login.c.expires <= now)).rowcount


def _agent(said: str) -> str:
    return text(said)[:LONGEST_AGENT]


def _enter(tx: Connection, **values: object) -> str:
    made = new()
    tx.execute(insert(login), {"hash": digest(made), **values})
    return made


_TOKEN = (
    select(
        account.c.id,
        account.c.name,
        login.c.scopes,
        login.c.expires,
        login.c.person,
        membership.c.role,
        login.c.api_key,
        api_key.c.expires,
    )  # fmt: skip
    .select_from(
        login.join(account, account.c.id == login.c.account)
        .outerjoin(membership, and_(membership.c.account == login.c.account, membership.c.person == login.c.person))
        .outerjoin(api_key, api_key.c.id == login.c.api_key)
    )
    .where(
        login.c.hash == bindparam("hash"),
        login.c.session == 1,
        account.c.active == constant(1),
        login.c.expires > bindparam("now", type_=BigInteger),
    )
)
_open = (
    select(login.c.hash, account.c.name, login.c.created, login.c.used, login.c.expires, login.c.agent)
    .join_from(login, account, account.c.id == login.c.account)
    .where(login.c.session == constant(1), login.c.expires > bindparam("now", type_=BigInteger))
    .order_by(login.c.created.desc(), login.c.hash)
)
_SESSIONS_OF = _open.where(login.c.person == bindparam("person", type_=BigInteger))
_NAMELESS = _open.where(login.c.person == constant(0), login.c.account == bindparam("account", type_=BigInteger))
