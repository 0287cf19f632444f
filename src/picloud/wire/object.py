"""Objects of buckets and volumes: their keys, and what client and server say of them.

A key is text, ``/`` between its parts; in UTF-8 at most 1,024 bytes, each part at most 255, so that every object can be a file.
Keys in different Unicode normal forms are different keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct, field

from picloud.wire.error import BadRequest

LONGEST_KEY, LONGEST_PART = 1024, 255
"""Bytes: as in S3, and as Linux has it."""
LARGEST = 5 << 40
"""Bytes of an object."""
INLINE = 65_536
"""Bytes of an object that rest in the index itself; larger ones are blobs."""
CARRIED = 262_144
"""Bytes of an object that travel with what is said of it; larger ones go by themselves, as blobs."""
BATCH, BATCH_BYTES = 1000, 8 << 20
"""Objects, and bytes of theirs, that one question carries."""
PART = 64 << 20
"""Bytes of one blob of a large object: what is sent again where a connection breaks."""
HEADERS = ("content-type", "content-encoding", "content-disposition", "cache-control")
"""Those that a public object is served with under their own names; others get ``x-meta-`` before theirs."""
MTIME, MODE = "mtime", "mode"
"""Headers of files, as a mount or a sync has set them: their time of modification (ns), and "x" where they are programs. The time
goes with the content: whoever stores another content leaves it out."""
_ILLEGAL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot hold."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")


class Extent(Struct, array_like=True, frozen=True):
    """A piece of a blob."""

    blob: str
    start: int
    length: int


class Object(Struct, omit_defaults=True):
    """What the index tells of an object."""

    key: str
    id: int
    version: int
    size: int
    created: int  # epoch ms
    modified: int
    md5: str = ""  # "" = not known
    public: str = ""  # the URL under which everybody may get it
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """Another one for each content that any object ever had."""
        return etag(self.id, self.version)


class New(Struct, omit_defaults=True):
    """An object to be. Its bytes come along, or are blobs already."""

    key: str
    size: int
    md5: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    data: bytes | None = None
    extents: list[Extent] = field(default_factory=list)
    match: str | None = None  # the etag that must be replaced; "" = there must be nothing
    id: int = 0  # the object to change, wherever its key is now; 0 = that of the key, or a new one
    token: bytes = b""  # tells a repeat of this put from another one


class Put(Struct):
    """Objects that come to be together, or not at all."""

    objects: list[New]
    volume: str = ""  # "" = the bucket


class Keys(Struct, omit_defaults=True):
    """A question about these objects."""

    keys: list[str] = field(default_factory=list)
    volume: str = ""
    prefix: str | None = None  # instead: all below this folder; "" = all
    ids: list[int] = field(default_factory=list)  # instead: find or get objects by these
    folders: bool = False  # find: folders too, with a / behind their names
    carried: bool = False  # get: with the bytes of each object of at most CARRIED bytes, where the server has them at hand
    keep: bool = False  # remove: a folder whose last object goes stays, as in a file system
    early: bool = False  # remove: answered when everybody sees it; a power cut may take it back, until something later is synced


class Content(Struct, omit_defaults=True):
    """An object with its bytes, or where they are."""

    object: Object
    data: bytes | None = None
    extents: list[tuple[int, str]] = field(default_factory=list)  # length, URL of the blob
    starts: list[int] = field(default_factory=list)  # first byte of each in its blob


class Contents(Struct):
    """As many as were asked for and fit into one answer; those that are not there are left out."""

    found: list[Content]
    asked: int  # so many of the keys were looked at


class List(Struct, omit_defaults=True):
    """A question for a page of keys."""

    prefix: str = ""  # the folder; "" = everything
    after: str = ""  # the last key of the page before
    limit: int = 1000
    level: bool = False  # what lies deeper is shown as its folder
    volume: str = ""


class Listing(Struct):
    """A page of keys. A key that ends in ``/`` is a folder, and only that."""

    objects: list[Object]
    truncated: bool


class Change(Struct, omit_defaults=True):
    """A change of one object or folder."""

    key: str
    volume: str = ""
    to: str = ""
    to_volume: str = ""
    replace: bool = True
    public: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    keep: bool = False  # rename: a folder that becomes empty stays


class Mark(Struct, omit_defaults=True):
    """Headers of an object to change, its content untouched. The version stays what it is."""

    id: int
    headers: dict[str, str]  # "" takes one away; others stay
    volume: str = ""


class Append(Struct, omit_defaults=True):
    """Bytes to stand behind those of an object, whatever others append meanwhile."""

    key: str
    size: int
    id: int = 0
    volume: str = ""
    data: bytes | None = None
    extents: list[Extent] = field(default_factory=list)
    token: bytes = b""


class Event(Struct, array_like=True, omit_defaults=True):
    """What a watcher of a bucket or volume is told: this key has changed. One that ends in ``/`` stands for all below it."""

    key: str
    object: Object | None = None  # what is there now; None = nothing, or unknown below a folder
    id: int = 0  # of what was there
    kept: bool = False  # the folder around it is there still


def etag(id: int, version: int) -> str:
    """The etag of an object's version."""
    return f"{id}-{version}"


def check_key(key: object, *, folder: bool = False) -> str:
    """A key that can be stored.

    Args:
        folder: "" stands for everything, and one ``/`` may stand at the end (it is taken off).

    Raises:
        BadRequest: it cannot; which rule it breaks.
    """
    if not isinstance(key, str):
        raise BadRequest(f"a key is text, not {type(key).__name__}", hint="for instance 'data/points.csv'")
    if folder:
        key = key.removesuffix("/")
        if not key:
            return key
    if fault := _fault(key):
        raise BadRequest(f"{key[:100]!r} is no key: {fault}", hint="parts of letters with one / between them", key=key[:200])
    return key


def _fault(key: str) -> str:
    if not key:
        return "it is empty"
    if key.startswith("/") or key.endswith("/") or "//" in key:
        return "/ stands at its begin or end, or twice"
    if found := _ILLEGAL.search(key):
        return f"it holds the character U+{ord(found[0]):04X}"
    parts = key.split("/")
    if "." in parts or ".." in parts:
        return "a part is . or .."
    return _too_long(key, parts) if 4 * len(key) > LONGEST_PART else ""  # no character takes more bytes than 4


def _too_long(key: str, parts: list[str]) -> str:
    if len(key.encode()) > LONGEST_KEY:
        return f"{len(key.encode())} bytes, at most {LONGEST_KEY}"
    longest = max(len(part.encode()) for part in parts)
    return f"a part of {longest} bytes, at most {LONGEST_PART}" if longest > LONGEST_PART else ""


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What stays of an object's headers when its content is changed in place."""
    return {name: value for name, value in headers.items() if name != MTIME}


def modified_ns(headers: Mapping[str, str], stored: int) -> int:
    """When a file was modified: as its headers tell, else when it was stored; epoch ns."""
    told = headers.get(MTIME, "")
    known = len(told) < 20 and told.removeprefix("-").isdecimal() and told.isascii()
    return int(told) if known else stored


def check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of a public object, their names in small letters.

    Raises:
        BadRequest: a name or value cannot be a header.
    """
    checked = {}
    for name, value in headers.items():
        small = name.lower() if isinstance(name, str) else ""
        if not _NAME.fullmatch(small):
            raise BadRequest(f"{name!r} is no name of a header", hint="letters, digits and -")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or len(value) > 1000:
            raise BadRequest(f"header {name}: its value must be printable ASCII, at most 1000 characters")
        checked[small] = value
    if len(checked) > 30:
        raise BadRequest(f"{len(checked)} headers", hint="at most 30")
    return checked


def joined(path: object, prefix: object = None) -> str:
    """The key of a path below a prefix.

    Args:
        path: str.
        prefix: None, a folder, or its parts in a list.

    Raises:
        BadRequest: they make no key.
    """
    return check_key(path) if not prefix else check_key(f"{folder(prefix)}/{check_key(path)}")


def folder(prefix: object) -> str:
    """The folder that a prefix names; "" = everything.

    Raises:
        BadRequest: it is none.
    """
    if prefix is None:
        return ""
    if isinstance(prefix, list | tuple):
        return "/".join(check_key(part) for part in prefix)
    return check_key(prefix, folder=True)
