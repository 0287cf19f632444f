"""Keys for one address: who has one calls that function, reads what came of it, and can do nothing else."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from picloud.server import audit
from picloud.server.api import key as keys
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import account as accounts
from picloud.store import audit as acts
from picloud.store.account import Key
from picloud.store.call import key as store
from picloud.store.call import rest
from picloud.store.db import Transaction
from picloud.wire.bounds import Number
from picloud.wire.call import Label, check_label
from picloud.wire.error import Forbidden, NotFound


class New(msgspec.Struct):
    label: Label  # of the address
    note: str = ""
    expires: Number = 0  # epoch ms; 0 = never


class Rotated(msgspec.Struct):
    api_key: Number
    overlap: Annotated[float, Meta(ge=0, le=keys.LONGEST_OVERLAP)] = 0.0  # seconds for which the former secret works too


class Named(msgspec.Struct):
    api_key: Number


class Of(msgspec.Struct):
    label: Label


class Shown(TypedDict):
    """A key of an address without its secret."""

    api_key: int
    note: str
    active: bool
    expires: int  # epoch ms; 0 = never
    created: int
    former_until: int


class Secret(Shown):
    api_secretkey: str


class Keys(TypedDict):
    keys: list[Shown]


@operation(query=Of, answer=Keys, raises=(NotFound,))
async def listing(control: Control, request: Request) -> None:
    """GET /v1/rest/key?label=: the keys of an address, the oldest first"""
    account, label = request.principal.account, check_label(request.asked(Of).label)
    found = await control.storage.read(lambda tx: store.every(tx, rest.find(tx, account, label).call))
    await request.json(Keys(keys=[_shown(one) for one in found]))


@operation(body=New, answer=Secret, raises=(NotFound,))
async def create(control: Control, request: Request) -> None:
    """POST /v1/rest/key: {label, note, expires} -> a key that opens this address alone, with its secret, shown this once"""
    asked, account, now = await request.read(New, 'for example {"label": "area"}'), request.principal.account, now_ms()
    label = check_label(asked.label)
    _check_caller(request)
    keys.check(asked.note, asked.expires, now)

    def act(tx: Transaction) -> Secret:
        key, secret = store.create(tx, rest.find(tx, account, label).call, now, asked.note, asked.expires)
        acts.note(tx, audit.act(request, "key.create", key, address=label, expires=asked.expires))
        return Secret(**_shown(accounts.key_get(tx, account, key)), api_secretkey=secret)

    await request.json(await control.storage.write(act))


@operation(body=Rotated, answer=Secret, raises=(NotFound,))
async def rotate(control: Control, request: Request) -> None:
    """POST /v1/rest/key/rotate: {api_key, overlap} -> the key, with its new secret, which is shown this once"""
    asked, account, now = await request.read(Rotated), request.principal.account, now_ms()
    _check_caller(request)

    def act(tx: Transaction) -> Secret:
        store.check(tx, account, asked.api_key)
        secret = accounts.key_rotate(tx, account, asked.api_key, now, int(asked.overlap * 1000))
        acts.note(tx, audit.act(request, "key.rotate", asked.api_key, overlap=asked.overlap))
        return Secret(**_shown(accounts.key_get(tx, account, asked.api_key)), api_secretkey=secret)

    made = await control.storage.write(act)
    control.authority.forget(asked.api_key)
    await request.json(made)


@operation(body=Named, raises=(NotFound,))
async def remove(control: Control, request: Request) -> None:
    """POST /v1/rest/key/remove: {api_key}: ends it for good"""
    asked, account = await request.read(Named), request.principal.account
    _check_caller(request)

    def act(tx: Transaction) -> None:
        store.remove(tx, account, asked.api_key)
        acts.note(tx, audit.act(request, "key.remove", asked.api_key))

    await control.storage.write(act)
    control.authority.forget(asked.api_key)
    await request.json({})


def _check_caller(request: Request) -> None:
    if request.principal.attempt is not None:
        raise Forbidden("a job may not make or change keys", hint="run `picloud rest key` yourself")


def _shown(one: Key) -> Shown:
    return {
        "api_key": one.key, "note": one.note, "active": one.active and one.revoked is None, "expires": one.expires,
        "created": one.created, "former_until": one.former_until,
    }  # fmt: skip
