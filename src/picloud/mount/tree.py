"""What the kernel's questions are answered from: nodes, names, open contents, and the server behind them."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from msgspec import structs

from picloud.mount import protocol, upload
from picloud.mount.base import Base
from picloud.mount.blocks import Blocks
from picloud.mount.content import Content
from picloud.mount.failure import refused
from picloud.mount.feed import Feed
from picloud.mount.names import Names, joined, split
from picloud.mount.nodes import Node, Nodes
from picloud.mount.remote import Remote
from picloud.mount.scratch import Chunk
from picloud.wire.error import BadRequest, Conflict
from picloud.wire.object import LONGEST_KEY, LONGEST_PART, MODE, Event, Extent, New, Object, check_key, kept_headers, modified_ns

log = logging.getLogger(__name__)

SMALL = 32 << 20
"""Bytes of small files that are kept in memory."""


class Tree:
    """One mounted bucket or volume.

    Args:
        remote: the server.
        cache: folder of the blocks, and of what is written.
        most: bytes of blocks.
        owner: user and group that everything belongs to.
    """

    def __init__(self, remote: Remote, cache: Path, most: int, owner: tuple[int, int]) -> None:
        self.remote, self._owner, self._cache = remote, owner, cache
        self.names = Names(remote)
        self.feed = Feed(remote.link, remote.volume, self.names)
        self.blocks = Blocks(cache / "blocks", most, remote.fetch)
        self.nodes = Nodes()
        self.tell: Callable[[str], None] = log.warning
        self.lost = set[str]()  # keys of files whose last bytes could not be stored, which no program was told of
        self.untold: Callable[[Node, OSError], None] = lambda node, error: None
        self._small: OrderedDict[tuple[int, int], Base] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    # -- names ------------------------------------------------------------------------------------------------------

    def find(self, parent: Node, name: str) -> Node | None:
        """The node of a name, if there is something."""
        self.feed.catch_up()
        key = joined(parent.key, name)
        if (pending := self.nodes.pending.get(key)) is not None:
            return pending
        try:
            check_key(key)
        except BadRequest:
            return None
        found = self.names.look(parent.key, name)
        if found is None:
            return None
        return self.nodes.folder(key, found.created) if found.key.endswith("/") else self.nodes.file(found)

    def need(self, parent: Node, name: str) -> Node:
        """The same; ENOENT where there is nothing."""
        found = self.find(parent, name)
        if found is None:
            raise refused(errno.ENOENT)
        return found

    def key(self, parent: Node, name: str) -> str:
        """A key that something new can have.

        Raises:
            OSError: ENAMETOOLONG or EINVAL where it cannot; ESTALE where its folder has gone.
        """
        self.check_folder(parent)
        key = joined(parent.key, name)
        raw = os.fsencode(key)
        if len(os.fsencode(name)) > LONGEST_PART or len(raw) > LONGEST_KEY:
            raise refused(errno.ENAMETOOLONG)
        return check_key(key)

    def check_folder(self, node: Node) -> None:
        """The kernel may come by a name that it looked up a moment ago.

        Raises:
            OSError: ESTALE where it is no folder any more: then the kernel looks the name up again.
        """
        if node.key and self.feed.live.is_set():
            self.feed.catch_up()
            found = self.names.look(*split(node.key))
            if (found is None or not found.key.endswith("/")) and not self.nodes.pending_below(node.key):
                raise refused(errno.ESTALE)

    def told(self, *events: Event) -> None:
        """What this mount did itself is known at once."""
        self.names.apply(list(events))

    # -- attributes -------------------------------------------------------------------------------------------------

    def attributes(self, node: Node, known: bool = False) -> bytes:
        """What stat tells.

        Args:
            known: the name has just been looked up.
        """
        if node.folder:
            if not known:
                self.check_folder(node)
            return protocol.attribute(node.inode, protocol.FOLDER, 4096, node.made * 1_000_000, self._owner)
        content = node.content
        if content is not None and (content.changed or content.gone):
            return self._file(node, content.size, content)
        newest = node.object if known and content is None else self.newest(node)
        if newest is None and content is None:
            raise refused(errno.ESTALE)
        if newest is None and content is not None:
            return self._file(node, content.size, content)
        return self._file(node, newest.size if newest else 0)

    def _file(self, node: Node, size: int, content: Content | None = None) -> bytes:
        """``content``: it is open and has changed."""
        headers, stored = (node.object.headers, node.object.modified * 1_000_000) if node.object else ({}, 0)
        if content is not None:
            headers, stored = kept_headers(headers) | content.marks, content.modified or stored
        mode = protocol.PROGRAM if headers.get(MODE) == "x" else protocol.FILE
        return protocol.attribute(node.inode, mode, size, modified_ns(headers, stored), self._owner)

    def mark(self, node: Node, headers: dict[str, str]) -> None:
        """Set headers of a file: with what was written since it was opened, else now."""
        content = node.content
        with content.lock if content is not None else contextlib.nullcontext():
            if content is not None and (content.changed or content.gone):
                content.marks |= headers
                return
            there = self.newest(node)
            if there is None:
                raise refused(errno.ESTALE)
            headers = {name: value for name, value in headers.items() if there.headers.get(name, "") != value}
            if headers:
                node.object = self.remote.mark(there.id, headers)
                self.told(Event(node.object.key, node.object, there.id))

    def newest(self, node: Node, ask: bool = False) -> Object | None:
        """The version of a stored file that is there now; None where it has been removed.

        Args:
            ask: the server, whatever is known.
        """
        if node.object is None or node.lost:
            return None
        self.feed.catch_up()
        found = self.names.look(*split(node.key)) if not ask else None
        if found is None or found.id != node.object.id:
            found = self.remote.find_id(node.object.id)
        if node.content is None and (found is None or found.key != node.key):
            self.nodes.lose(node)
            return None
        if found is None:
            return None
        node.key, node.object = found.key, found
        content = node.content
        if content is not None and content.base.object is not None and content.base.object.version != found.version:
            content.stale = not content.changed
        return found

    # -- contents ---------------------------------------------------------------------------------------------------

    def open(self, node: Node, flags: int) -> bool:
        """Open a file once more. Whether what the kernel remembers of it is still true.

        Raises:
            OSError: ESTALE where it has been removed elsewhere (the kernel then looks the name up again).
        """
        truncate, blind = bool(flags & os.O_TRUNC), flags & (os.O_APPEND | os.O_ACCMODE) == os.O_APPEND | os.O_WRONLY
        if node.content is None and node.object is not None and self.feed.live.is_set() and self.newest(node) is None:
            raise refused(errno.ESTALE)  # the kernel came by a name that is not true any more
        ask = node.content is not None and not self.feed.exact
        newest = self.newest(node, ask) if self.feed.exact or truncate or blind or node.content is not None else None
        with self.nodes.lock:
            if node.content is None:
                node.content = self._content(Base.unseen(newest) if newest else Base())
                node.content.stale = node.object is not None and newest is None
            content = node.content
            content.opened += 1
        try:
            if truncate:
                self._truncate_now(content)
            elif not blind and not (content.changed or content.gone):
                self.load(node)
        except BaseException:
            self.release(node)
            raise
        same = content.base.match == node.cached and not truncate
        node.cached = content.base.match
        return same

    def _truncate_now(self, content: Content) -> None:
        with content.lock:
            if not content.changed and content.base.object is not None:
                content.begin(Base.of(content.base.object, b"", []))
                content.touch()
            else:
                content.truncate(0)

    def _content(self, base: Base) -> Content:
        def ahead(blob: str, index: int) -> None:
            if not self.blocks.has(blob, index):
                self.remote.pool.submit(self._bring, blob, index)

        def early(chunks: list[Chunk]) -> Future[Extent]:
            return self.remote.pool.submit(upload.early, self.remote, self.blocks, chunks)

        return Content(base, self.blocks, self._cache / "written", ahead, early)

    def _bring(self, blob: str, index: int) -> None:
        with contextlib.suppress(Exception):  # who needs it will ask for it, and meet the error
            if not self.blocks.has(blob, index):
                self.blocks.bring(blob, index)

    def begin(self, key: str, mode: int) -> Node:
        """A file that is not stored yet, opened."""
        with self.nodes.lock:
            node = self.nodes.begin(key)
            node.content = self._content(Base())
            node.content.opened = 1
            node.content.touch()
            if mode & stat.S_IXUSR:
                node.content.marks[MODE] = "x"
        return node

    def claim(self, node: Node) -> None:
        """Store a file that must be new, empty, now.

        Raises:
            OSError: EEXIST where somebody was faster.
        """
        content = node.content
        assert content is not None
        try:
            found = self.remote.put(New(node.key, 0, match="", data=b"", headers=content.marks))
        except Conflict as error:
            raise refused(errno.EEXIST) from error
        content.settle(Base.of(found, b"", []))
        self.nodes.stored(node, found)
        self.told(Event(found.key, found, found.id))

    def load(self, node: Node) -> Content:
        """The content of an open file with its bytes at hand."""
        content = node.content
        assert content is not None
        if not content.stale and content.base.loaded:
            return content
        with content.lock:
            if (content.stale or not content.base.loaded) and node.object is not None:
                if content.changed:
                    self.flush(node)
                self._load(node, content)
        return content

    def _load(self, node: Node, content: Content) -> None:
        assert node.object is not None
        if self.feed.exact and not content.stale and (small := self._small.get((node.object.id, node.object.version))):
            content.begin(small)
            return
        found = self.remote.get(node.object.id)
        if found is None:
            raise refused(errno.ESTALE)
        node.key, node.object = found.object.key, found.object
        content.begin(Base(found))
        self.keep(content.base)

    def keep(self, base: Base) -> None:
        """Remember a small file."""
        if base.object is None or base.extents or not base.loaded:
            return
        with self._lock:
            self._small[base.object.id, base.object.version] = base
            self._held += len(base.data) + 500
            while self._held > SMALL:
                _, old = self._small.popitem(last=False)
                self._held -= len(old.data) + 500

    def flush(self, node: Node) -> None:
        """Store what was written into an open file."""
        content = node.content
        if content is None or not content.changed:
            return
        with content.lock:
            key = node.key
            found = upload.flush(self.remote, content, key, node.object.headers if node.object else {}, self.tell)
            if found is None:
                return
            if node.object is None and node.key != key:  # its folder was renamed meanwhile
                self.remote.rename(found.key, node.key, True)
                found = structs.replace(found, key=node.key)
            self.nodes.stored(node, found)
            self.keep(content.base)
            node.cached = ""
        self.told(Event(found.key, found, found.id))

    def store(self, node: Node) -> None:
        """Store what was written where nobody waits for it; what cannot be stored is remembered, and told."""
        try:
            self.flush(node)
        except OSError as error:
            self.lost.add(node.key)
            self.untold(node, error)
            log.error("%s: what was written into it last is not stored: %s", node.key, error.strerror)

    def release(self, node: Node) -> None:
        """A handle of an open file is gone."""
        content = node.content
        assert content is not None
        with self.nodes.lock:
            content.opened -= 1
            if content.opened:
                return
        if content.changed and not content.gone and not content.failed:  # by way of shared memory, after the last close
            self.store(node)
        with self.nodes.lock:
            if content.opened == 0 and node.content is content:
                node.content = None
                content.close()
                if self.nodes.pending.get(node.key) is node:  # it could not be stored
                    del self.nodes.pending[node.key]
                self.nodes.forget(node.number, 0)
