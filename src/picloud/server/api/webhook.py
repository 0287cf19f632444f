"""Webhooks: where ends of jobs are told, and what became of it. JSON."""

from __future__ import annotations

import base64
import os
from typing import Annotated, TypedDict

import msgspec

from picloud.server import audit
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.server.webhooks import DeliveryShown, place, shown
from picloud.settings import networks
from picloud.store import audit as acts
from picloud.store.db import Transaction
from picloud.store.webhook import delivery
from picloud.store.webhook import webhook as store
from picloud.wire.bounds import Number
from picloud.wire.error import BadRequest, NotFound, StorageFull
from picloud.wire.webhook import PREFIX, SECRET, check_target

LABEL = 255
MOST = 1000
"""Deliveries in one answer."""


class Asked(msgspec.Struct):
    """The body of all that changes something."""

    label: str = ""
    url: str = ""


class Page(msgspec.Struct):
    before: Number = 0  # only those older than the one of this id; 0 = all
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 100


class WebhookShown(TypedDict):
    label: str
    url: str
    created: int


class Webhooks(TypedDict):
    webhooks: list[WebhookShown]


class Signing(TypedDict):
    secret: str


class Deliveries(TypedDict):
    deliveries: list[DeliveryShown]


async def _asked(request: Request) -> Asked:
    asked = await request.read(Asked, '{"label": "..", "url": "https://.."}')
    if len(asked.label) > LABEL or not asked.label.isascii() or not asked.label.isprintable():
        raise BadRequest(f"no label: {asked.label[:80]!r}", hint=f"at most {LABEL} printable ASCII characters")
    return asked


@operation(answer=Webhooks)
async def listing(control: Control, request: Request) -> None:
    """GET /v1/webhook: the account's webhooks by label; the one without a label signs for ``_webhook``"""
    found = await control.storage.read(store.every, request.principal.account)
    await request.json({"webhooks": [{"label": one.label, "url": one.url, "created": one.created} for one in found]})


@operation(body=Asked, answer=Signing, raises=(StorageFull,))
async def put(control: Control, request: Request) -> None:
    """POST /v1/webhook: {label, url} -> {secret}, shown this once; without both, of what signs for ``_webhook``"""
    asked = await _asked(request)
    if asked.label or asked.url:
        check_target(asked.url, networks(control.settings))
        if not asked.label:
            raise BadRequest("a webhook is one of a label", hint="for a single job name the address in the call: _webhook=")
    account, now = request.principal.account, now_ms()
    control.storage.check_space()
    secret = PREFIX + base64.b64encode(os.urandom(SECRET)).decode()
    sealed = control.vault.seal(account, place(asked.label), {"secret": secret})

    def act(tx: Transaction) -> None:
        store.put(tx, account, asked.label, asked.url, sealed.key, sealed.data, now)
        acts.note(tx, audit.act(request, "webhook.set", asked.label, url=asked.url))

    await control.storage.write(act)
    await request.json({"secret": secret})


@operation(body=Asked, raises=(NotFound,))
async def remove(control: Control, request: Request) -> None:
    """POST /v1/webhook/remove: {label}: forgets one; what waits to be delivered to it is given up"""
    asked = await _asked(request)
    account = request.principal.account

    def act(tx: Transaction) -> None:
        store.remove(tx, account, asked.label)
        acts.note(tx, audit.act(request, "webhook.remove", asked.label))

    await control.storage.write(act)
    await request.json({})


@operation(query=Page, answer=Deliveries)
async def deliveries(control: Control, request: Request) -> None:
    """GET /v1/webhook/delivery?before=&limit=: what was told or waits to be told, the newest first"""
    page = request.asked(Page)
    found = await control.storage.read(delivery.listing, request.principal.account, before=page.before, limit=page.limit)
    await request.json({"deliveries": [shown(one) for one in found]})
