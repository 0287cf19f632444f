"""The accounts of the installation, for its owner. JSON."""

from __future__ import annotations

from typing import TypedDict

import msgspec

from picloud.server import audit
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import account as accounts
from picloud.store import audit as acts
from picloud.store import removal as contents
from picloud.store.account import removal
from picloud.store.db import Transaction
from picloud.wire.error import Conflict, Forbidden, NotFound
from picloud.wire.scope import EVERYTHING


class Named(msgspec.Struct):
    name: str


class Switch(msgspec.Struct):
    name: str
    active: bool


class AccountShown(TypedDict):
    name: str
    created: int
    active: bool
    going: bool  # it was removed, and what it had is being cleared away


class Removed(TypedDict):
    name: str
    going: bool


class Switched(TypedDict):
    name: str
    active: bool


class Accounts(TypedDict):
    accounts: list[AccountShown]


class FirstKey(TypedDict):
    name: str
    api_key: int
    api_secretkey: str


def owner_only(request: Request) -> None:
    """Let pass the owner of the installation.

    Raises:
        Forbidden: it is somebody else, or a key of hers without the scope ``admin``.
    """
    if not request.principal.owner:
        raise Forbidden("only the owner of this installation may do that", hint="ask her, or use her key with the scope admin")


@operation(answer=Accounts)
async def list_accounts(control: Control, request: Request) -> None:
    """GET /v1/admin/account -> {accounts: [{name, created, active, going}]}; the owner only"""
    owner_only(request)
    there, going = await control.storage.read(lambda tx: (accounts.every(tx), removal.going(tx)))
    shown = [{"name": one.name, "created": one.created, "active": one.active, "going": False} for one in there]
    shown += [{"name": one.name, "created": one.created, "active": False, "going": True} for one in going]
    await request.json({"accounts": shown})


@operation(body=Named, answer=FirstKey, raises=(Conflict,))
async def add_account(control: Control, request: Request) -> None:
    """POST /v1/admin/account: {name} -> {name, api_key, api_secretkey}; the owner only"""
    owner_only(request)
    name = (await request.read(Named)).name
    await check_room(control)

    def make(tx: Transaction) -> tuple[int, str]:
        account = accounts.create(tx, name, now_ms())
        acts.note(tx, audit.act(request, "account.add", name))
        return accounts.key_create(tx, account, now_ms(), "first", EVERYTHING)

    key, secret = await control.storage.write(make)
    await founded(control)
    await request.json({"name": name, "api_key": key, "api_secretkey": secret})


@operation(body=Switch, answer=Switched, raises=(NotFound, Conflict))
async def switch_account(control: Control, request: Request) -> None:
    """POST /v1/admin/account/change: {name, active} -> {name, active}: off, or on again; the owner only

    What an account that is switched off runs is killed; what waits goes on when it is on again.
    """
    owner_only(request)
    asked = await request.read(Switch)
    account = await control.storage.read(accounts.by_name, asked.name)
    if account == control.authority.owner and not asked.active:
        raise Conflict("this is the account of who owns the installation", hint="nobody could switch it on again")

    def act(tx: Transaction) -> None:
        accounts.switch(tx, account, asked.active)
        acts.note(tx, audit.act(request, "account.change", asked.name, active=asked.active))

    await control.storage.write(act)
    control.authority.forget_account(account)
    await control.meter.switch(account, asked.active)
    control.crons.changed()
    await request.json({"name": asked.name, "active": asked.active})


@operation(body=Named, answer=Removed, raises=(NotFound, Conflict))
async def remove_account(control: Control, request: Request) -> None:
    """POST /v1/admin/account/remove: {name} -> {name, going}: for good, with all that it has; the owner only

    Only one that is switched off. Nothing of it is found from that moment on, and its name is free; what it has is cleared away
    afterwards. A repeat answers the same while that goes on.
    """
    owner_only(request)
    name = (await request.read(Named)).name

    def act(tx: Transaction) -> int:
        try:
            account = accounts.by_name(tx, name)
        except NotFound:
            if any(one.name == name for one in removal.going(tx)):
                return 0
            raise
        if account == control.authority.owner:
            raise Conflict("this is the account of who owns the installation", hint="picloud down, and remove its folder")
        removal.begin(tx, account, now_ms())
        contents.stop(tx, account, now_ms())
        acts.note(tx, audit.act(request, "account.remove", name, number=account))
        return account

    if account := await control.storage.write(act):
        control.authority.forget_account(account)
        control.meter.remove(account)
        control.crons.changed()
        control.attachments.look_at_all()
        control.removal.changed()
    await request.json({"name": name, "going": True})


async def check_room(control: Control) -> None:
    """Refuse a further account where jobs cannot be kept apart.

    Raises:
        Forbidden: this machine stands on rung D.
    """
    if await control.probing.rung() == "D":
        raise alone()


def alone() -> Forbidden:
    """Why a machine on rung D has one account."""
    hint = "picloud doctor tells what isolation needs here"
    return Forbidden("this machine cannot isolate jobs (rung D), so its installation has one account", hint=hint)


async def founded(control: Control) -> None:
    """There is a further account now: jobs see interpreters of listed folders alone, and its money decides from the first job."""
    control.interpreters.alone = False
    control.interpreters.forget()
    await control.meter.look(now_ms())
