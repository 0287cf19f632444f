"""What the operator of an installation asks for: its owner, by hand."""

from __future__ import annotations

from typing import TypedDict

import msgspec

from picloud.server.api.installation import owner_only
from picloud.server.collection import Plan, Space
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.store import hold


class Held(TypedDict):
    held: bool


class Begun(TypedDict):
    plan: Plan


class Planned(Begun):
    running: bool
    trouble: str


@operation(answer=Held)
async def resume(control: Control, request: Request) -> None:
    """POST /v1/operator/resume -> {held}: let jobs run that are held since this installation was restored; whether they were"""
    owner_only(request)
    held = await control.storage.write(hold.end)
    control.dispatcher.held = False
    control.dispatcher.wake()
    await request.json({"held": held})


@operation(answer=Space)
async def space(control: Control, request: Request) -> None:
    """GET /v1/operator/space -> {accounts: [{account, kind, count, bytes}], places: [{what, place, bytes, whole}], disks}"""
    owner_only(request)
    await request.json(msgspec.to_builtins(await control.collection.space()))


@operation(answer=Planned)
async def plan(control: Control, request: Request) -> None:
    """GET /v1/operator/sweep -> {plan, running, trouble}: what a sweep would take now; the state of the last one"""
    owner_only(request)
    found = msgspec.to_builtins(await control.collection.plan())
    await request.json({"plan": found, "running": control.collection.running, "trouble": control.collection.trouble})


@operation(answer=Begun)
async def sweep(control: Control, request: Request) -> None:
    """POST /v1/operator/sweep -> {plan}: begin to remove what is old or unused, which is what the plan said a moment ago"""
    owner_only(request)
    found = msgspec.to_builtins(await control.collection.plan())
    control.collection.begin()
    await request.json({"plan": found})
