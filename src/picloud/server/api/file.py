"""Files of the bucket and of volumes for web pages and plain HTTP: moved, copied, removed, published, linked to. All in JSON.

Lists are those of ``GET /v1/bucket``, and bytes go by ``/v1/bucket/{key}`` or by link.
"""

from __future__ import annotations

import time
from typing import Annotated, TypedDict
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, structs

from picloud.server import filing, objects
from picloud.server.control import Control
from picloud.server.http import UNREADABLE, Request
from picloud.server.objects import Shown
from picloud.server.operation import operation
from picloud.store import account as accounts
from picloud.store.db import Transaction
from picloud.store.index import folder as folders
from picloud.store.index import object as store
from picloud.store.index import tree
from picloud.wire.download import Link
from picloud.wire.error import BadRequest, Conflict, NotFound, StorageFull
from picloud.wire.object import BATCH, Extent, Object, check_headers, check_key

LINK_LONGEST = 86_400.0


class Volume(msgspec.Struct):
    volume: str = ""  # "" = the bucket


class Which(Volume):
    md5: bool = False  # compute it, if it is not known


class Entry(Shown):
    """An object or a folder."""

    folder: bool  # its key has no / at the end here


class Move(msgspec.Struct):
    key: str  # of an object or a folder
    to: str
    volume: str = ""
    replace: bool = False  # what is at ``to`` may go: an object for an object, an empty folder for a folder


class Copy(msgspec.Struct):
    key: str  # of an object or a folder
    to: str
    volume: str = ""
    to_volume: str = ""


class Copied(TypedDict):
    copied: int  # objects


class Named(msgspec.Struct):
    key: str
    volume: str = ""


class Gone(msgspec.Struct):
    """Either keys or a folder."""

    keys: Annotated[list[str], Meta(max_length=BATCH)] = []
    folder: str | None = None  # it, and all that lies in it; "" = everything
    volume: str = ""


class Removed(TypedDict):
    removed: int  # objects that were there


class Publish(msgspec.Struct):
    key: str  # of an object in the bucket
    public: bool = True
    headers: dict[str, str] = {}  # to be served with it
    reset: bool = False  # take away those first that it was served with


class Wish(msgspec.Struct):
    key: str
    volume: str = ""
    inline: bool = False  # to be shown in a page, where it is text, a picture, sound or a film; else to be saved
    seconds: Annotated[float, Meta(ge=1, le=LINK_LONGEST)] = 300.0


class Linked(TypedDict):
    url: str  # on the edge; who has it needs no key
    until: int  # epoch ms


class Wanted(msgspec.Struct):
    account: int
    volume: str
    key: str


@operation(query=Which, answer=Entry, raises=(NotFound,))
async def get(control: Control, request: Request, key: str) -> None:
    """GET /v1/file/{key}: what is known of an object or a folder: size, times, md5, headers, its URL if it is public"""
    asked, account = request.asked(Which), request.principal.account
    check_key(key)

    def query(tx: Transaction) -> tuple[Object, bytes | list[Extent] | None]:
        number = tree.find(tx, account, asked.volume)
        if found := store.find(tx, number, [key]):
            return found[0], store.contents(tx, [found[0].id])[found[0].id] if asked.md5 and not found[0].md5 else None
        if found := folders.those(tx, number, [key]):
            return found[0], None
        raise NotFound(f"there is no object or folder {key[:200]!r}", key=key[:200], hint="GET /v1/bucket lists what is there")

    one, held = await control.storage.read(query)
    if held is not None:
        one = structs.replace(one, md5=await objects.digest(control, held))
        await control.storage.note(store.learn, one.id, one.version, one.md5)
    shown = objects.plain(control, request, one)
    shown["key"] = key
    await request.json(Entry(**shown, folder=one.key.endswith("/")))


@operation(body=Move, raises=(NotFound, Conflict))
async def rename(control: Control, request: Request) -> None:
    """POST /v1/file/rename: {key, to, volume, replace}: an object or a folder gets another name, or another place"""
    asked = await request.read(Move)
    key, to = _key(asked.key), _key(asked.to)
    await filing.rename(control, request.principal.account, asked.volume, key, to, replace=asked.replace, keep=True)
    await request.json({})


@operation(body=Copy, answer=Copied, raises=(NotFound, Conflict, StorageFull))
async def copy(control: Control, request: Request) -> None:
    """POST /v1/file/copy: {key, to, volume, to_volume} -> {copied}: an object or a folder once more, over what is there"""
    asked = await request.read(Copy)
    key, to = _key(asked.key), _key(asked.to)
    copied = await filing.copy(control, request.principal.account, asked.volume, key, asked.to_volume, to)
    await request.json(Copied(copied=copied))


@operation(body=Named, raises=(NotFound, Conflict, StorageFull))
async def make_folder(control: Control, request: Request) -> None:
    """POST /v1/file/folder: {key, volume}: a new, empty folder"""
    asked = await request.read(Named)
    await filing.make_folder(control, request.principal.account, asked.volume, _key(asked.key), fresh=True)
    await request.json({})


@operation(body=Gone, answer=Removed, raises=(NotFound, Conflict))
async def remove(control: Control, request: Request) -> None:
    """POST /v1/file/remove: {keys, volume} or {folder, volume} -> {removed}: objects, or a folder with all that lies in it"""
    asked, account = await request.read(Gone), request.principal.account
    if bool(asked.keys) == (asked.folder is not None):
        raise BadRequest("say which keys to remove, or which folder", hint='{"keys": ["a.txt"]} or {"folder": "data"}')
    if asked.folder is None:
        keys = [check_key(key) for key in asked.keys]
        count = await filing.remove(control, account, asked.volume, keys, keep=True)
    else:
        count = await filing.remove_below(control, account, asked.volume, check_key(asked.folder, folder=True))
    await request.json(Removed(removed=count))


@operation(body=Publish, answer=Shown, raises=(NotFound,))
async def publish(control: Control, request: Request) -> None:
    """POST /v1/file/publish: {key, public, headers, reset} -> the object, with its URL if everybody may get it now"""
    asked = await request.read(Publish)
    key, headers = check_key(asked.key), check_headers(asked.headers)
    found = await filing.publish(control, request, key, headers, public=asked.public, reset=asked.reset)
    await request.json(objects.plain(control, request, found))


@operation(body=Wish, answer=Linked, raises=(NotFound,))
async def link(control: Control, request: Request) -> None:
    """POST /v1/file/link: {key, volume, inline, seconds} -> {url, until}: where a browser gets one object without a key"""
    asked, account = await request.read(Wish), request.principal.account
    key = check_key(asked.key)
    await control.storage.read(lambda tx: store.get(tx, tree.find(tx, account, asked.volume), key))
    ends = int(time.time() + asked.seconds)
    made = Link(account, asked.volume, key, ends, asked.inline, _pages(control, request))
    await request.json(Linked(url=control.edge(request) + made.path(control.secret), until=ends * 1000))


async def held(control: Control, request: Request) -> None:
    """POST /v1/edge/file: {account, volume, key} -> an object's headers, etag, and where its bytes are; the edge only"""
    try:
        asked = msgspec.json.decode(await request.body(), type=Wanted)
    except UNREADABLE as error:
        raise BadRequest(f"the body is not what this route takes: {error}") from error

    def query(tx: Transaction) -> tuple[Object, bytes | list[Extent]]:
        accounts.check_active(tx, asked.account)
        one = store.get(tx, tree.find(tx, asked.account, asked.volume), asked.key)
        return one, store.contents(tx, [one.id])[one.id]

    await request.json(objects.facts(*await control.storage.read(query)))


def _pages(control: Control, request: Request) -> str:
    """The origins of our own pages, as whoever asks knows them."""
    at = urlsplit(request.base())
    here = f"{at.scheme}://{at.hostname}" + (f":{at.port}" if at.port else "")
    return f"{here} {control.public}" if control.settings.public_url else here


def _key(key: str) -> str:
    """The key of an object, or of a folder, which may have a / behind it."""
    return check_key(key.removesuffix("/"))
