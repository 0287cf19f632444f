"""What the routes of objects share: checks of what is put, the bytes that come along, and how an object is shown."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict
from urllib.parse import quote

from msgspec import structs

from picloud.server.http import Request
from picloud.server.storage import now_ms
from picloud.store import blob as blobs
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.object import BATCH_BYTES, CARRIED, INLINE, LARGEST, Extent, New, Object, check_headers, check_key

if TYPE_CHECKING:
    from picloud.server.control import Control

PACKED = 262_144
"""Bytes of one put above which they go into one blob together."""
TINY = 512
"""Objects of so few bytes stay in the index in any case."""
_MD5 = re.compile(r"[0-9a-f]{32}")


def checked(one: New) -> New:
    """An object to be put, if nothing is wrong with it.

    Raises:
        BadRequest: key, size, md5, headers or pieces are not right.
    """
    if one.key or not one.id:
        check_key(one.key)
    length = len(one.data) if one.data is not None else sum(piece.length for piece in one.extents)
    if not 0 <= one.size <= LARGEST or length != one.size or (one.data is not None and one.extents):
        raise BadRequest(f"{one.key!r}: {length} bytes came, {one.size} were told", key=one.key, hint="send it again")
    if any(piece.start < 0 or piece.length <= 0 for piece in one.extents):
        raise BadRequest(f"{one.key!r}: a piece of a blob begins before it, or has no bytes", key=one.key)
    if one.md5 and not _MD5.fullmatch(one.md5):
        raise BadRequest(f"{one.key!r}: {one.md5[:40]!r} is no md5", hint="32 hexadecimal digits, small letters")
    if len(one.token) not in (0, 16):
        raise BadRequest("a put's token has 16 bytes")
    if one.data is not None and one.md5 and _md5(one.data) != one.md5:
        raise BadRequest(f"{one.key!r}: its bytes changed on the way (md5)", key=one.key, hint="send it again")
    return structs.replace(one, headers=check_headers(one.headers))


async def all_checked(made: Sequence[New]) -> list[New]:
    """The same for many; hashing megabytes would keep everybody else waiting, so it is done in a thread."""
    if sum(one.size for one in made) > PACKED:
        return await asyncio.to_thread(lambda: [checked(one) for one in made])
    return [checked(one) for one in made]


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


async def placed(control: Control, account: int, made: Sequence[New]) -> tuple[list[New], dict[str, int]]:
    """The same with the bytes that do not belong into the index in one blob; the blobs, which have arrived, with their sizes.

    Raises:
        NotFound: a blob that is named has not arrived.
    """
    total = sum(len(one.data) for one in made if one.data is not None)
    limit = TINY if total > PACKED else INLINE
    large = [one for one in made if one.data is not None and len(one.data) > limit]
    sizes = await control.sizes(sorted({piece.blob for one in made for piece in one.extents}))
    if not large:
        return list(made), sizes
    whole = await blob_of(control, account, b"".join(one.data or b"" for one in large))
    packed, at = {}, 0
    for one in large:
        packed[one.key] = structs.replace(one, data=None, extents=[Extent(whole.blob, at, one.size)])
        at += one.size
    return [packed.get(one.key, one) for one in made], sizes | {whole.blob: whole.length}


async def blob_of(control: Control, account: int, data: bytes) -> Extent:
    """A blob with these bytes, which have arrived."""
    (blob,) = await control.storage.note(blobs.new, account, [len(data)], now_ms())
    await asyncio.to_thread(_write, control, blob, data)
    return Extent(blob, 0, len(data))


def _write(control: Control, blob: str, data: bytes) -> None:
    with control.files.create(blob) as sink:
        sink.write(data)


async def brought(
    control: Control, there: Sequence[Object], held: dict[int, bytes | list[Extent]]
) -> dict[int, bytes | list[Extent]]:
    """The same with the bytes of small objects, if their blobs are files here."""
    pieces = {one.id: at for one in there if one.size <= CARRIED and isinstance(at := held[one.id], list)}
    here = all(control.files.path(piece.blob) is not None for each in pieces.values() for piece in each)
    if not pieces or not here or sum(piece.length for each in pieces.values() for piece in each) > BATCH_BYTES:
        return held
    return held | await asyncio.to_thread(_read, control, pieces)


def _read(control: Control, pieces: dict[int, list[Extent]]) -> dict[int, bytes | list[Extent]]:
    found: dict[int, bytes | list[Extent]] = {}
    for number, each in pieces.items():
        with contextlib.suppress(NotFound):  # replaced and swept meanwhile: who asks learns of it from the edge
            found[number] = b"".join(
                data for piece in each for data in control.files.read(piece.blob, piece.start, piece.start + piece.length)
            )
    return found


def shown(control: Control, request: Request, one: Object) -> Object:
    """An object as its owner sees it: with the URL, where it is public."""
    return structs.replace(one, public=public_folder(control, request) + quote(one.key)) if one.public else one


class Shown(TypedDict):
    """An object, in JSON."""

    key: str
    size: int
    etag: str
    md5: str  # "" = not known
    created: int  # epoch ms
    modified: int
    public: NotRequired[str]  # its URL, if everybody may get it
    headers: dict[str, str]


def plain(control: Control, request: Request, one: Object) -> Shown:
    """An object as its owner sees it in JSON."""
    made = Shown(key=one.key, size=one.size, etag=one.etag, md5=one.md5, created=one.created, modified=one.modified,
                 headers=one.headers)  # fmt: skip
    if one.public:
        made["public"] = shown(control, request, one).public
    return made


def public_folder(control: Control, request: Request) -> str:
    """The URL below which everybody finds what this account has made public."""
    return f"{control.edge(request)}/public/{quote(request.principal.name)}/"


def facts(one: Object, held: bytes | Sequence[Extent]) -> dict[str, Any]:
    """An object as the edge is told of it: its headers, etag, and where its bytes are."""
    data = held.hex() if isinstance(held, bytes) else None
    extents = [] if isinstance(held, bytes) else [(piece.blob, piece.start, piece.length) for piece in held]
    told = {"size": one.size, "etag": one.etag, "modified": one.modified, "headers": one.headers, "md5": one.md5}
    return told | {"data": data, "extents": extents}


async def digest(control: Control, held: bytes | Sequence[Extent]) -> str:
    """The md5 of an object's bytes."""
    return _md5(held) if isinstance(held, bytes) else await asyncio.to_thread(_digest, control, held)


def _digest(control: Control, pieces: Sequence[Extent]) -> str:
    found = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        for data in control.files.read(piece.blob, piece.start, piece.start + piece.length):
            found.update(data)
    return found.hexdigest()
