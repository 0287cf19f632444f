"""Many small objects at once: as many in one question as it carries, and those whose bytes lie together got together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from cloud import _download, _objects, _source, _upload
from cloud._digest import md5
from picloud.wire.bulk import download
from picloud.wire.error import Forbidden
from picloud.wire.link import Pending
from picloud.wire.object import BATCH, BATCH_BYTES, CARRIED, Content, Contents, Keys, New

GAP = 1 << 16
"""Bytes between two pieces of a blob that are rather read than asked for twice."""


def put_many(items: Mapping[str, Any] | Iterable[tuple[str, Any]], prefix: _objects.Prefix) -> int:
    """Store objects, in batches; how many. The next batch is made and sent while the server stores the one before."""
    sender = Sender()
    try:
        return _put_all(sender, items.items() if isinstance(items, Mapping) else items, prefix)
    finally:
        sender.wait()  # also if the iterable failed: what was sent before is stored


def _put_all(sender: Sender, items: Iterable[tuple[str, Any]], prefix: _objects.Prefix) -> int:
    batch, size, count = dict[str, New](), 0, 0
    for path, data in items:
        key, data = _objects.key_of(path, prefix), _bytes(path, data)
        count += 1
        if len(data) > CARRIED:
            batch.pop(key, None)
            sender.wait(key)
            with _source.of_object(data, repr(key)) as source:
                _upload.put(source, key, _source.headers_for(key))
            continue
        if len(batch) == BATCH or size + len(data) > BATCH_BYTES:
            sender.send(batch)
            batch, size = {}, 0
        batch[key] = New(key, len(data), md5(data), _source.headers_for(key), data, token=_objects.token())
        size += len(data)
    sender.send(batch)
    return count


class Sender:
    """Sends batches, one while another is being stored, unless they have a key in common: the later content shall stay."""

    def __init__(self, volume: str = "") -> None:
        self._volume = volume
        self._pending: Pending | None = None
        self._keys: Collection[str] = ()

    def send(self, batch: dict[str, New]) -> None:
        if not batch:
            return
        if not batch.keys().isdisjoint(self._keys):
            self.wait()
        pending = _objects.send_put(list(batch.values()), self._volume)
        self.wait()
        self._pending, self._keys = pending, batch.keys()

    def wait(self, key: str | None = None) -> None:
        """Until the batch under way is stored; with ``key``, only if it is in it."""
        if self._pending is not None and (key is None or key in self._keys):
            pending, self._pending, self._keys = self._pending, None, ()
            pending.read_response()


def _bytes(path: str, data: Any) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"the content of {path!r} must be bytes or a str, not {type(data).__name__}")
    return bytes(data)


def get_many(keys: list[str], volume: str = "") -> Iterator[tuple[str, bytes]]:
    """Each object's key and bytes, in order.

    Raises:
        NotFound: one is not there; those before it were given.
    """
    at = 0
    while at < len(keys):
        wanted = keys[at : at + BATCH]
        told = _objects.ask("get", Keys(list(dict.fromkeys(wanted)), volume), Contents)
        asked = set(list(dict.fromkeys(wanted))[: told.asked])
        found = {one.object.key: one for one in told.found}
        good = next((n for n, key in enumerate(wanted) if key not in asked), len(wanted))
        for run in _runs([_there(found, key) for key in wanted[:good]]):
            yield from _read(run, volume)
        at += good


def _there(found: dict[str, Content], key: str) -> Content:
    if key not in found:
        raise _objects.missing(key)
    return found[key]


def _place(one: Content) -> tuple[str, int, int] | None:
    """The blob and the bytes there, of an object that is one piece of a blob."""
    if one.data is not None or len(one.extents) != 1:
        return None
    length, url = one.extents[0]
    start = one.starts[0] if one.starts else 0
    return url.partition("?")[0], start, start + length


def _runs(found: list[Content]) -> Iterator[list[Content]]:
    """Objects whose bytes follow each other in one blob, together."""
    run = list[Content]()
    for one in found:
        if run and not _follows(run, one):
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _follows(run: list[Content], one: Content) -> bool:
    first, last, place = _place(run[0]), _place(run[-1]), _place(one)
    if first is None or last is None or place is None or place[0] != last[0]:
        return False
    return 0 <= place[1] - last[2] <= GAP and place[2] - first[1] <= BATCH_BYTES


def _read(run: list[Content], volume: str) -> Iterator[tuple[str, bytes]]:
    """The bytes of a run of objects."""
    first, last = _place(run[0]), _place(run[-1])
    if len(run) == 1 or first is None or last is None:
        for one in run:
            small = b"" if not one.object.size else one.data
            yield one.object.key, small if small is not None else _whole(one, volume)
        return
    try:
        held = memoryview(b"".join(download(_objects.link(), run[0].extents[0][1], first[1], last[2])))
    except Forbidden:  # the ticket has ended while the caller was busy with those before
        yield from get_many([one.object.key for one in run], volume)
        return
    for one in run:
        place = _place(one)
        assert place is not None
        data = bytes(held[place[1] - first[1] : place[2] - first[1]])
        yield one.object.key, data if _is_right(one, data) else _whole(one, volume)


def _is_right(one: Content, data: bytes) -> bool:
    return not one.object.md5 or md5(data) == one.object.md5


def _whole(one: Content, volume: str) -> bytes:
    """The bytes of one object; a wrong md5 is tried once more."""
    parts = list[bytes]()

    def keep(_: Content, pieces: Iterator[bytes]) -> None:
        parts[:] = pieces

    _download.save(one.object.key, _download.Range(), keep, volume)
    return b"".join(parts)
