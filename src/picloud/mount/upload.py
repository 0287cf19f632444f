"""Putting what was written into an open file: only the blocks that changed travel, and one put makes them the new version."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping

from picloud.mount.base import Base
from picloud.mount.blocks import BLOCK, Blocks
from picloud.mount.content import RUN, Content
from picloud.mount.failure import number_of, refused
from picloud.mount.remote import Remote
from picloud.mount.scratch import Chunk
from picloud.mount.turn import waiting
from picloud.wire.error import Conflict, NotFound
from picloud.wire.object import CARRIED, INLINE, Append, Extent, New, Object, kept_headers

log = logging.getLogger(__name__)

Tell = Callable[[str], None]


def flush(remote: Remote, content: Content, key: str, headers: Mapping[str, str], tell: Tell) -> Object | None:
    """Store what was written; returns when it is on the server's disk.

    Args:
        key: where the file is, as far as this mount knows.
        headers: that it has, as far as this mount knows.
        tell: told of a version that was displaced unseen, and where it is kept.

    Returns:
        The object as it is now; None where nothing had changed.

    Raises:
        OSError: ESTALE where the object was removed elsewhere, ENOSPC, EIO.
    """
    with content.lock:
        if content.gone or not content.changed:
            return None
        try:
            if content.tail is not None:
                return _append(remote, content, key)
            return _put(remote, content, key, headers, tell)
        except NotFound as error:
            content.failed = errno.ESTALE if "id" in error.facts else errno.EIO
        except Exception as error:  # noqa: BLE001 - whatever it was: the program is told at close
            content.failed = number_of(error)
        log.error("%s was not stored: %s", key, errno.errorcode[content.failed])
        raise refused(content.failed)


def _append(remote: Remote, content: Content, key: str) -> Object:
    start, end = content.tail or 0, content.size
    base = content.base.object
    one = Append(key, end - start, id=base.id if base else 0)
    if end - start <= CARRIED:
        one.data = content.piece(start, end)
    else:
        one.extents = _send(remote, content, [(at, min(at + RUN * BLOCK, end)) for at in range(start, end, RUN * BLOCK)])
    found = remote.append(one)
    if content.marks:
        found = remote.mark(found.id, content.marks)
    content.begin(Base.unseen(found))  # where these bytes came to lie among those of others, is asked when somebody reads
    return found


def _put(remote: Remote, content: Content, key: str, headers: Mapping[str, str], tell: Tell) -> Object:
    size = content.size
    data, extents = (content.piece(0, size), []) if size <= CARRIED else (b"", _extents(remote, content))
    base = content.base.object
    one = New(key, size, id=base.id if base else 0, match=content.base.match, extents=extents)
    one.data = data if size <= CARRIED else None
    one.headers = {name: value for name, value in (kept_headers(headers) | content.marks).items() if value}
    while True:
        try:
            found = remote.put(one)
            break
        except Conflict as error:
            if not error.facts.get("etag"):
                raise refused(errno.EISDIR if "folder" in error.parameter else errno.ENOTDIR) from error
            if not base and not size and not content.truncated and (there := remote.find(key)):
                content.begin(Base.unseen(there))  # made by somebody else meanwhile, and we have nothing to say
                return there
            _keep_displaced(remote, one, key, tell)
    content.settle(Base.of(found, data, extents))
    if INLINE < size <= CARRIED:  # which blob the server made of it is asked when somebody reads
        content.settle(Base.of(found, data, []))
    return found


def _keep_displaced(remote: Remote, one: New, key: str, tell: Tell) -> None:
    """Somebody else has put a version since ours was opened: keep it under another name, and replace it."""
    there = remote.find_id(one.id) if one.id else remote.find(key)
    if there is None:
        one.match = ""
        return
    one.match = there.etag
    beside = beside_of(there.key, there.etag)
    remote.copy(there.key, beside)
    tell(f"{there.key}: two writers at once; the version that the later one did not know is kept as {beside}")


def beside_of(key: str, etag: str) -> str:
    """Where a displaced version is kept: ``a/points.conflict-17-3.csv`` for ``a/points.csv``."""
    folder, slash, name = key.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    mark = f".conflict-{etag}"
    while len(f"{stem}{mark}{dot}{ending}".encode()) > 255:
        stem, ending = (stem[:-1], ending) if stem else ("", ending[:-1])
    return f"{folder}{slash}{stem}{mark}{dot}{ending}"


def _extents(remote: Remote, content: Content) -> list[Extent]:
    """The file in pieces: of the version that was opened where that is still true, and new ones."""
    waiting()
    _await(content)
    plan = _stretches(content)
    sent = iter(_send(remote, content, [(a, b) for a, b, new in plan if new == "sent"]))
    zero: list[Extent] = []
    if any(new == "zero" for _, _, new in plan):
        (name,) = remote.send([BLOCK], lambda _: bytes(BLOCK))
        zero = [Extent(name, 0, BLOCK)]
    found: list[Extent] = []
    for a, b, new in plan:
        if new == "sent":
            found.append(next(sent))
        elif new == "early":
            found.append(content.early[a // (RUN * BLOCK)].result())
        elif new == "zero":
            found += [Extent(zero[0].blob, 0, min(BLOCK, b - at)) for at in range(a, b, BLOCK)]
        else:
            found += content.base.slice(a, b)
    return found


def _await(content: Content) -> None:
    """What went off early has arrived; what did not, goes with the rest."""
    for run, sent in list(content.early.items()):
        if sent.exception() is not None:
            del content.early[run]


def early(remote: Remote, blocks: Blocks, chunks: list[Chunk]) -> Extent:
    """Send a run of blocks before anybody asks for it, in a thread of the pool."""
    parts = [chunk.read() for chunk in chunks]
    name = remote.send_one(parts)
    for index, chunk in enumerate(chunks):
        blocks.adopt(name, index, parts[index], chunk)
    return Extent(name, 0, len(chunks) * BLOCK)


def _stretches(content: Content) -> list[tuple[int, int, str]]:
    """The file in stretches: ``kept`` in the base, gone off ``early``, to be ``sent``, ``zero``."""
    plan: list[tuple[int, int, str]] = []
    for block in range((content.size + BLOCK - 1) // BLOCK):
        low, high = block * BLOCK, min((block + 1) * BLOCK, content.size)
        if block // RUN in content.early:
            what = "early"
        elif block in content.dirty or (block in content.own and not content.base.extents):
            what = "sent"
        elif high <= content.kept and content.base.extents:
            what = "kept"
        else:
            what = "sent" if low < content.kept else "zero"
        if plan and plan[-1][2] == what and (what in ("kept", "zero") or plan[-1][1] - plan[-1][0] < RUN * BLOCK):
            plan[-1] = (plan[-1][0], high, what)
        else:
            plan.append((low, high, what))
    return plan


def _send(remote: Remote, content: Content, stretches: list[tuple[int, int]]) -> list[Extent]:
    if not stretches:
        return []
    sizes = [b - a for a, b in stretches]
    names = remote.send(sizes, lambda i: content.piece(*stretches[i]), lambda i, *sent: content.adopt(stretches[i][0], *sent))
    return [Extent(name, 0, size) for name, size in zip(names, sizes, strict=True)]
