"""Secrets: their names go out, their values only come in. JSON."""

from __future__ import annotations

from typing import TypedDict

import msgspec

from picloud.server import audit
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import audit as acts
from picloud.store.db import Transaction
from picloud.store.secret import secret as store
from picloud.wire.error import NotFound, StorageFull
from picloud.wire.secret import check_name, check_values, unmasked


class Asked(msgspec.Struct):
    """The body of all that changes something."""

    name: str
    values: dict[str, str] = msgspec.field(default_factory=dict)


class SecretShown(TypedDict):
    name: str
    variables: list[str]
    created: int
    changed: int
    usable: bool  # False: the key to it was lost, as by a restore


class Secrets(TypedDict):
    secrets: list[SecretShown]


class Kept(TypedDict):
    unmasked: list[str]  # variables whose values are too short to be masked


async def _asked(request: Request) -> Asked:
    asked = await request.read(Asked, '{"name": "db", "values": {"PASSWORD": ".."}}')
    check_name(asked.name)
    return asked


@operation(answer=Secrets)
async def listing(control: Control, request: Request) -> None:
    """GET /v1/secret: the account's secrets, without their values"""
    found = await control.storage.read(store.every, request.principal.account)
    await request.json({"secrets": [_shown(control, one) for one in found]})


def _shown(control: Control, one: store.Secret) -> SecretShown:
    return {"name": one.name, "variables": one.variables, "created": one.created, "changed": one.changed,
            "usable": control.vault.opens(one.key)}  # fmt: skip


@operation(body=Asked, answer=Kept, raises=(StorageFull,))
async def put(control: Control, request: Request) -> None:
    """POST /v1/secret: {name, values} -> {unmasked}: keeps values by variable, in the place of all that the name had before"""
    asked = await _asked(request)
    check_values(asked.values)
    control.storage.check_space()
    account, now = request.principal.account, now_ms()
    sealed = control.vault.seal(account, asked.name, asked.values)

    def act(tx: Transaction) -> None:
        store.put(tx, account, asked.name, sealed, now)
        acts.note(tx, audit.act(request, "secret.set", asked.name, variables=sealed.variables))

    await control.storage.write(act)
    await request.json({"unmasked": unmasked(asked.values)})


@operation(body=Asked, raises=(NotFound,))
async def remove(control: Control, request: Request) -> None:
    """POST /v1/secret/remove: {name}: forgets one; attempts that have begun keep what they were given"""
    asked = await _asked(request)
    account = request.principal.account

    def act(tx: Transaction) -> None:
        store.remove(tx, account, asked.name)
        acts.note(tx, audit.act(request, "secret.remove", asked.name))

    await control.storage.write(act)
    await request.json({})
