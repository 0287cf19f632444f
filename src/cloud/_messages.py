"""Messages as bytes: JSON where that says the value exactly, else a pickle; many bytes as a blob.

A value comes back with the types that it had: a tuple stays a tuple, keys that are numbers stay numbers.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from cloud import _trace
from cloud._arguments import all_plain, pickled
from picloud.wire import payload
from picloud.wire.error import CloudException, NotFound
from picloud.wire.job import INLINE_LIMIT, Failure
from picloud.wire.link import Body as Upload
from picloud.wire.link import Link, Pending
from picloud.wire.payload import Buffer
from picloud.wire.queue import Body, Kind

BYTES = 4 << 20
"""Bytes of messages in one request."""
WAITING = 32 << 20
"""Bytes of large messages that wait for others, to be brought to the server together."""
UNDER_WAY = 4
"""Large messages on their way at once."""
_MOST = 10_000
"""Parts of a value that are looked at; one that has more is pickled."""
_WORD = 1 << 63
_PLAIN = frozenset({str, bool, type(None)})
_to_json, _from_json = msgspec.json.encode, msgspec.json.decode


class Undecodable(CloudException):
    """A message that cannot be loaded here; ``failure`` says why."""

    code = "undecodable"
    failure: Failure


class Packed(NamedTuple):
    """A message's bytes."""

    kind: Kind
    parts: Sequence[Buffer]
    size: int

    @property
    def inline(self) -> int:
        """Those of them that travel in the request itself."""
        return self.size if self.size <= INLINE_LIMIT else 0


def exact(value: Any) -> bool:
    """Whether JSON gives back just this value, with all its types. What holds itself, and what is vast, counts as not."""
    if type(value) in _PLAIN:
        return True
    parts = [value]
    for part in parts:  # grows meanwhile
        kind = type(part)
        if kind in _PLAIN:
            continue
        if kind is int:
            if not -_WORD <= part < _WORD:
                return False
        elif kind is float:
            if part - part != 0:  # infinite, or NaN
                return False
        elif kind is list:
            parts += part
        elif kind is dict and all(type(key) is str for key in part):
            parts += part.values()
        else:
            return False
        if len(parts) > _MOST:
            return False
    return True


def packed(value: Any, name: str) -> Packed:
    """A value as bytes.

    Args:
        name: for people, should it be at fault: ``message 3``.

    Raises:
        pickle.PicklingError: it cannot be pickled; the text names the way to what cannot.
    """
    try:
        if exact(value):
            data = _to_json(value)
            return Packed(Kind.json, [data], len(data))
    except (RecursionError, UnicodeEncodeError):
        pass  # lists in lists in lists; half of a surrogate pair: a pickle may still say it
    try:
        if all_plain(value):
            data = pickle.dumps(value, 5)
            return Packed(Kind.pickle, [data], len(data))
        parts, _ = pickled(value, set())
    except Exception as error:
        raise _trace.explained(error, [(name, value)]) from error
    return Packed(Kind.pickle, parts, sum(memoryview(part).nbytes for part in parts))


class Bodies:
    """The messages of one request. Large ones are brought to the server as blobs, several at once."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._made: list[Body] = []
        self._large: list[tuple[int, Packed]] = []
        self.size = 0  # bytes in the request itself

    def __len__(self) -> int:
        return len(self._made)

    def has_room(self, one: Packed) -> bool:
        """Whether the request can carry these bytes too."""
        return not self._made or self.size + one.inline <= BYTES

    def add(self, one: Packed, *, large: bool = False) -> int:
        """Take a message; its index. ``large``: as a blob, whatever its size."""
        at = len(self._made)
        if one.inline and not large:
            self._made.append(Body(one.kind, bytes(one.parts[0]) if len(one.parts) == 1 else b"".join(one.parts)))
            self.size += one.size
            return at
        self._made.append(Body(one.kind))
        self._large.append((at, one))
        if sum(packed.size for _, packed in self._large) > WAITING:
            self._bring()
        return at

    def finish(self) -> list[Body]:
        """The bodies, when all blobs are on the server."""
        self._bring()
        return self._made

    def _bring(self) -> None:
        if not self._large:
            return
        sizes = [one.size for _, one in self._large]
        tickets = self._link.json("POST", "/v1/blob", {"sizes": sizes})["blobs"]
        under_way: list[Pending] = []
        try:
            for (at, one), ticket in zip(self._large, tickets, strict=True):
                under_way.append(self._link.send_put(ticket["url"], Upload(one.size, lambda parts=one.parts: iter(parts))))  # type: ignore[misc]
                self._made[at] = Body(one.kind, blob=ticket["id"])
                if len(under_way) == UNDER_WAY:
                    under_way.pop(0).read_response()
            while under_way:
                under_way.pop(0).read_response()
        finally:
            for pending in under_way:
                pending.close()
        self._large = []


def loaded(number: int, kind: int, data: bytes, url: str, fetch: Callable[[str], Buffer]) -> Any:
    """The value of message ``number``.

    Args:
        url: of its bytes, where they are many; ``fetch`` gets them.

    Raises:
        Undecodable: its class is not there, or its bytes are none of ours, or gone.
    """
    try:
        found: Any = fetch(url) if url else data
    except NotFound as error:
        raise _undecodable(number, error) from error
    try:
        return _from_json(found) if kind == Kind.json else payload.loads(found)
    except Exception as error:
        raise _undecodable(number, error) from error


def _undecodable(number: int, error: Exception) -> Undecodable:
    kind = type(error)
    text = f"{kind.__name__}: {getattr(error, 'parameter', error)}"
    advice = "have its class where it is read, then replay it"
    made = Undecodable(f"message {number} cannot be loaded here: {text}", hint=advice)
    made.failure = Failure("cannot_load", f"it cannot be loaded: {text}", advice, type=f"{kind.__module__}.{kind.__qualname__}")
    return made
