"""What ``cloud.bucket`` asks of the server: objects by key, pages of keys, changes."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from cloud import _session
from cloud._ride import Ride, Rides
from picloud.wire.error import NotFound, SetupError
from picloud.wire.link import Link, Pending
from picloud.wire.object import (
    BATCH,
    Change,
    Content,
    Contents,
    Keys,
    List,
    Listing,
    New,
    Object,
    Put,
    check_key,
    folder,
    joined,
)

T = TypeVar("T")
Prefix = str | Sequence[str] | None
"""A folder, or the parts of its name."""
LONGEST_PAGE = 10 * BATCH


class Page(list[str]):
    """A page of keys in the order of their bytes.

    Attributes:
        truncated: True where more keys follow.
    """

    truncated = False


def link() -> Link:
    """The way to the server whose bucket it is.

    Raises:
        SetupError: jobs are simulated; or nothing says which server it is.
    """
    if _session.is_simulated():
        raise SetupError("the simulator has no bucket", hint="cloud.setkey(...) leads back to a server; `picloud up` starts one")
    return _session.session().link


def ask(what: str, question: Any, kind: type[T]) -> T:
    """One question about objects; ``kind``: of the answer."""
    return _asked(link(), what, question, kind)


def _asked(far: Link, what: str, question: Any, kind: type[T]) -> T:
    return msgspec.msgpack.decode(far.request("POST", f"/v1/object/{what}", msgspec.msgpack.encode(question)), type=kind)


def key_of(path: Any, prefix: Prefix = None) -> str:
    """The key of a path below a prefix.

    Raises:
        BadRequest: they make none.
    """
    return joined(path, prefix)


def key_for(file_path: str, obj_path: str | None, prefix: Prefix) -> str:
    """The key under which a file is put: its base name, where no other is given."""
    return key_of(os.path.basename(os.path.abspath(file_path)) if obj_path is None else obj_path, prefix)


def keys_of(paths: str | Iterable[str], prefix: Prefix) -> list[str]:
    """One path or many, as keys."""
    return [key_of(path, prefix) for path in ([paths] if isinstance(paths, str) else paths)]


def base_name(key: str) -> str:
    """The last part of a key."""
    return posixpath.basename(key)


def token() -> bytes:
    """Tells a repeat of a put, sent because its answer was lost, from another put."""
    return os.urandom(16)


def missing(key: str) -> NotFound:
    """What is raised where an object is not there."""
    return NotFound(f"there is no object {key[:200]!r}", key=key[:200], hint="picloud bucket list shows what is there")


def put(made: Sequence[New], volume: str = "") -> list[Object]:
    """Objects that come to be together, in the bucket or in a volume."""
    return ask("put", Put(list(made), volume), list[Object])


def put_small(one: New) -> Object:
    """One object whose bytes come along; it may ride with those that other threads put now."""
    return _puts.of(link()).ask(one)


def send_put(made: Sequence[New], volume: str = "") -> Pending:
    """The same; the answer is read later."""
    return link().send_request("POST", "/v1/object/put", msgspec.msgpack.encode(Put(list(made), volume)))


def find(keys: Sequence[str], volume: str = "") -> list[Object]:
    """Those of the objects that are there."""
    return ask("find", Keys(list(keys), volume), list[Object])


def get(key: str) -> Object:
    """One object.

    Raises:
        NotFound: there is none.
    """
    for one in find([key]):
        return one
    raise missing(key)


def content(key: str, volume: str = "") -> Content:
    """One object, and where its bytes are.

    Raises:
        NotFound: there is none.
    """
    found = ask("get", Keys([key], volume, carried=True), Contents).found[:1] if volume else [_gets.of(link()).ask(key)]
    for one in found:
        if one is not None:
            return one
    raise missing(key)


def digest(key: str, volume: str = "") -> str:
    """The md5 of an object, computed by the server if it is not known yet."""
    return ask("md5", Keys([key], volume), Object).md5


def remove(keys: Sequence[str], volume: str = "") -> int:
    """Remove objects; how many of them were there."""
    batches = (keys[at : at + BATCH] for at in range(0, len(keys), BATCH))
    return sum(ask("remove", Keys(list(batch), volume), dict[str, int])["removed"] for batch in batches)


def remove_below(prefix: Prefix, volume: str = "") -> int:
    """Remove all that lies in a folder; how many objects."""
    name = folder(prefix)
    if not name and not volume:
        raise ValueError("name the folder that is to be removed: an empty prefix would be the whole bucket")
    return ask("remove", Keys(volume=volume, prefix=name), dict[str, int])["removed"]


def totals() -> dict[str, Any]:
    """What the account stores, and where its public objects are."""
    found: dict[str, Any] = link().json("GET", "/v1/object")
    return found


def page(prefix: Prefix, folderize: bool, marker: str | None, most: int) -> Page:
    """One page of keys."""
    if isinstance(most, bool) or not isinstance(most, int) or not 0 < most <= LONGEST_PAGE:
        raise ValueError(f"max_keys must be a number from 1 to {LONGEST_PAGE}, not {most!r}")
    after = "" if not marker else check_key(marker.removesuffix("/")) + "/" * marker.endswith("/")
    asked = List(folder(prefix), after, most, bool(folderize))
    found = ask("list", asked, Listing)
    made = Page(one.key for one in found.objects)
    made.truncated = found.truncated
    return made


def pages(prefix: Prefix, folderize: bool, size: int) -> Iterator[Page]:
    """All of them, one after the other."""
    marker: str | None = None
    while True:
        found = page(prefix, folderize, marker, size)
        yield found
        if not found.truncated:
            return
        marker = found[-1]


def change(what: str, key: str, to: str = "", replace: bool = True, volume: str = "") -> dict[str, int]:
    """Rename or copy; make a folder."""
    return ask(what, Change(key, volume, to, volume, replace), dict[str, int])


def publish(key: str, public: bool, headers: dict[str, str] | None = None, reset: bool = False) -> Object:
    """Let everybody get an object, or nobody."""
    return ask("publish", Change(key, public=public, headers=headers or {}, reset=reset), Object)


def shown(one: Object) -> dict[str, Any]:
    """An object as users see it."""
    return {
        "size": one.size, "created": _moment(one.created), "last-modified": _moment(one.modified), "md5sum": one.md5 or None,
        "etag": one.etag, "public": bool(one.public), "url": one.public or None, **one.headers,
    }  # fmt: skip


def _moment(value: int) -> datetime:
    return datetime.fromtimestamp(value / 1000, UTC)


def _contents(far: Link, keys: list[str]) -> list[Content | None]:
    """What is there under these keys of the bucket, whose bytes one answer may be too small for."""
    answer = _asked(far, "get", Keys(keys, carried=True), Contents)
    found = {one.object.key: one for one in answer.found}
    more = _contents(far, keys[answer.asked :]) if answer.asked < len(keys) else []
    return [*map(found.get, keys[: answer.asked]), *more]


def _put_ride(far: Link) -> Ride[New, Object]:
    return Ride(lambda made: _asked(far, "put", Put(made), list[Object]), lambda one: one.key, lambda one: one.size)


def _get_ride(far: Link) -> Ride[str, Content | None]:
    return Ride(lambda keys: _contents(far, keys), lambda _: None, lambda _: 0)


_puts, _gets = Rides(_put_ride), Rides(_get_ride)
