"""Volumes: their list, making and deleting them. What is in them goes over the routes of objects. JSON."""

from __future__ import annotations

import os
from typing import TypedDict

import msgspec

from picloud.server import audit
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store.index import volume as volumes
from picloud.wire.error import BadRequest, Conflict, Forbidden, NotFound, StorageFull
from picloud.wire.volume import LONGEST_DESCRIPTION, Name, Volume, check_mount, check_name


class Asked(msgspec.Struct):
    """The body of all that changes something."""

    name: Name
    mount_path: str = ""
    description: str = ""
    host_path: str = ""
    read_only: bool = False


class Named(msgspec.Struct):
    name: str = ""


class VolumeShown(TypedDict):
    name: str
    mount: str
    created: int
    description: str
    host: str
    read_only: bool
    objects: int
    bytes: int


class Volumes(TypedDict):
    volumes: list[VolumeShown]


async def _parse(request: Request) -> Asked:
    asked = await request.read(Asked, 'for example {"name": "data"}')
    check_name(asked.name)
    return asked


@operation(query=Named, answer=Volumes, raises=(NotFound,))
async def listing(control: Control, request: Request) -> None:
    """GET /v1/volume?name=: the account's volumes, or one of them"""
    name = request.asked(Named).name
    found = await control.storage.read(volumes.listing, request.principal.account, [name] if name else [])
    await request.json({"volumes": [_shown(one) for one in found]})


@operation(body=Asked, raises=(Conflict, StorageFull))
async def create(control: Control, request: Request) -> None:
    """POST /v1/volume: {name, mount_path, description, host_path, read_only}; a host path is for the server's owner alone"""
    asked = await _parse(request)
    if len(asked.description) > LONGEST_DESCRIPTION or "\0" in asked.description:
        raise BadRequest(
            f"a description of {len(asked.description)} characters, or with a NUL", hint=f"at most {LONGEST_DESCRIPTION}"
        )
    made = Volume(asked.name, check_mount(asked.mount_path), 0, asked.description, asked.host_path, asked.read_only)
    if made.host:
        _check_host(request, made.host)
    elif made.read_only:
        raise BadRequest("only a volume that shows a folder of the host can be read-only", hint="add --host-path")
    control.storage.check_space()
    await control.storage.write(volumes.create, request.principal.account, made, now_ms())
    if made.host:
        await audit.note(control, request, "volume.host", made.name, path=made.host)
    await request.json({})


def _check_host(request: Request, path: str) -> None:
    if not request.principal.owner or request.principal.attempt is not None:
        raise Forbidden("only the owner of this server may show a folder of its machine", hint="ask the operator")
    if not os.path.isabs(path) or os.path.normpath(path) != path or path == "/":
        raise BadRequest(f"{path!r} is no absolute path of a folder", hint="without .. and without / at its end")
    if not os.path.isdir(path):
        raise BadRequest(f"there is no folder {path} on the server's machine", hint="mount it there first")


@operation(body=Asked, raises=(NotFound, Conflict))
async def delete(control: Control, request: Request) -> None:
    """POST /v1/volume/delete: {name}: with all that is in it"""
    asked = await _parse(request)
    await control.storage.write(volumes.delete_one, request.principal.account, asked.name)
    await request.json({})


def _shown(one: Volume) -> VolumeShown:
    return {
        "name": one.name, "mount": one.mount, "created": one.created, "description": one.description, "host": one.host,
        "read_only": one.read_only, "objects": one.objects, "bytes": one.bytes,
    }  # fmt: skip
