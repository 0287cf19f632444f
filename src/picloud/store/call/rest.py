"""Stored calls that have an address.

publish(tx, account, asked, host, env, now) -> missing    one of that label is replaced
find(tx, account, label) -> Published                     NotFound
every(tx, account) -> list[Published]
remove(tx, account, label) -> list[int]                   NotFound; the keys that ended with it
is_of(tx, call, jid) -> bool                              whether it has made this job
invoke(tx, call, arguments, token, now) -> (Submitted, ready)
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, select

from picloud.store.call import call as calls
from picloud.store.call import key as keys
from picloud.store.call import stored
from picloud.store.call.call import Call, as_call
from picloud.store.call.schema import call, endpoint
from picloud.store.rows import add, one, run, text, to_json
from picloud.store.schema import job, submission
from picloud.wire.call import Endpoint, Register, Sort
from picloud.wire.error import NotFound
from picloud.wire.message import Arguments, Submitted

_decode = msgspec.json.Decoder(Endpoint).decode


class Published(NamedTuple):
    """A call with what is published about it."""

    endpoint: Endpoint
    call: Call


def publish(tx: Connection, account: int, asked: Register, host: str, env: str | None, now: int) -> list[str]:
    """Keep a call and give it an address.

    Args:
        asked: with an endpoint.
        host, env: as for :func:`stored.keep`.

    Returns:
        Digests of code that is missing: then nothing was kept.
    """
    number, missing = calls.put(tx, account, Sort.rest, asked, host, env, now)
    if not missing:
        run(tx, _REMOVE, call_=number)
        run(tx, _ADD, call=number, data=text(to_json(asked.endpoint).decode()))
    return missing


def find(tx: Connection, account: int, label: str) -> Published:
    """One published call.

    Raises:
        NotFound: there is none of that label.
    """
    found = calls.find(tx, account, Sort.rest, label)
    (row,) = run(tx, _OF, call_=found.id).fetchall()
    return Published(_decode(row[0]), found)


def every(tx: Connection, account: int) -> list[Published]:
    """All published calls of an account, by label."""
    return [Published(_decode(row[0]), as_call(row[1:])) for row in run(tx, _EVERY, account=account).fetchall()]


def remove(tx: Connection, account: int, label: str) -> list[int]:
    """Take an address away, and its keys. Jobs that were made by it run on.

    Returns:
        The numbers of the keys.

    Raises:
        NotFound: there is none of that label.
    """
    number = calls.remove(tx, account, Sort.rest, label)
    run(tx, _REMOVE, call_=number)
    return keys.remove_all(tx, number)


def is_of(tx: Connection, found: Call, jid: int) -> bool:
    """Whether a job runs the function that has this address now, under its label."""
    kept = found.submit
    return one(tx, _MADE, account=found.account, jid=jid, label=kept.options.label, function=kept.function) is not None


def invoke(tx: Connection, found: Call, arguments: Arguments, token: bytes, now: int) -> tuple[Submitted, set[int]]:
    """Submit a call with these arguments, one job for each.

    Args:
        token: 16 bytes; the same once more makes no further jobs.

    Raises:
        NotFound: it was removed meanwhile, or what it needs is gone.
        Conflict: the token was used with other arguments.
    """
    current = calls.find(tx, found.account, Sort.rest, found.label)
    if current.id != found.id or current.created != found.created:
        raise NotFound(f"the endpoint {found.label!r} was just replaced", hint="post again")
    return stored.again(tx, found.account, found.submit, found.host, found.env, arguments, token, now)


_of = bindparam("call_", type_=BigInteger)
_ADD = add(endpoint)
_REMOVE = delete(endpoint).where(endpoint.c.call == _of)
_OF = select(endpoint.c.data).where(endpoint.c.call == _of)
_MADE = (
    select(job.c.jid)
    .join_from(job, submission, submission.c.id == job.c.submission)
    .where(
        job.c.account == bindparam("account", type_=BigInteger),
        job.c.jid == bindparam("jid", type_=BigInteger),
        submission.c.label == bindparam("label", type_=Text),
        submission.c.function == bindparam("function", type_=Text),
    )
)
_EVERY = (
    select(endpoint.c.data, *calls.COLUMNS)
    .join_from(endpoint, call, call.c.id == endpoint.c.call)
    .where(call.c.account == bindparam("account", type_=BigInteger))
    .order_by(call.c.label)
)
