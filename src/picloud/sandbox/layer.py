"""Layers of a host: packed from writable folders, unpacked once into folders named by their digests.

    pack_layer(roots, out, ids) -> Packed        in a process of its own, as root of the sandbox's user namespace
    layers = Layers(home / "layers")
    with layers.take(digests, download) as stack:  stack.folders, the lowest first, which stay while it is open
    layers.sweep(keep)

A folder appears whole, by a rename, or not at all; one process at a time makes it (a lock each, which ends with its
holder), and nobody removes it while somebody holds it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from picloud.sandbox import pack, squash, unpack, userns
from picloud.sandbox.pack import Packed
from picloud.sandbox.userns import Ids
from picloud.wire.error import BadRequest, CloudException, SetupError, StorageFull, Unavailable, from_dict

DEEP = 10
"""So many layers at most lie over each other; of more, some are squashed."""
BLOCK = 8
"""Layers are squashed in multiples of so many, so that saving again seldom squashes again."""
DIGEST = re.compile(r"[0-9a-f]{64}")
Download = Callable[[str, Path], None]
"""(digest, file) -> writes the compressed layer there."""


class Stack:
    """Unpacked layers that stay where they are until :meth:`close`, or until this process ends."""

    def __init__(self) -> None:
        self.folders: list[Path] = []
        self._held: list[int] = []

    def add(self, folder: Path, lock: int) -> None:
        """Hold one more; closes ``lock`` in the end."""
        self.folders.append(folder)
        self._held.append(lock)

    def close(self) -> None:
        """Let go of them."""
        while self._held:
            os.close(self._held.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Layers:
    """The unpacked layers of a host, shared by all its workers.

    Where we are root of the machine the files have the ids they have inside, 0 to 65535, so the folder is closed to
    others and mounts of it are id-mapped; else they have those of this user's range.

    Args:
        folder: where they lie; made if it is not there.
        ids: this machine's way to user namespaces; found out if not given.
    """

    def __init__(self, folder: Path, ids: Ids | None = None) -> None:
        self.folder = folder
        self._ids = ids or userns.ids_for()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, digest: str) -> Path | None:
        """The folder of a layer, if it is unpacked here."""
        place = self._place("", digest)
        return place if place.is_dir() else None

    def fetch(self, digest: str, download: Download) -> Path:
        """Have a layer here, for later. Returns and raises as :meth:`take`, of one."""
        with self.take([digest], download) as stack:
            return stack.folders[0]

    def take(self, digests: Sequence[str], download: Download) -> Stack:
        """Have layers here, and keep them.

        Args:
            digests: the lowest first.
            download: fetches what is not here; called by one process at a time for one digest.

        Returns:
            Their folders, at most :data:`DEEP`: of more, those between the lowest and the last few are squashed.

        Raises:
            Unavailable: what was downloaded is not that layer, or not all of it.
            StorageFull: the disk is full.
            CloudException: whatever ``download`` raises.
        """
        stack = Stack()
        try:
            for block in _blocks(digests):
                self._add(stack, block, download)
            return stack
        except BaseException:
            stack.close()
            raise

    def _add(self, stack: Stack, block: Sequence[str], download: Download) -> None:
        if len(block) == 1:
            self._hold(stack, block[0], lambda place, lock: self._unpack(block[0], place, lock, download))
        else:
            name = hashlib.sha256("\n".join(block).encode()).hexdigest()
            self._hold(stack, name, lambda place, lock: self._squash(block, place, lock, download))

    def _squash(self, block: Sequence[str], place: Path, lock: int, download: Download) -> None:
        with Stack() as sources:
            for digest in block:
                self._add(sources, [digest], download)
            self._helper("squash", lock, sources=[str(folder) for folder in sources.folders], place=str(place))

    def sweep(self, keep: Iterable[str]) -> list[str]:
        """Remove what nobody holds and is not to be kept, and what processes left that died; the digests removed."""
        kept, gone = set(keep), []
        for name in {found[0] for entry in os.listdir(self.folder) if (found := DIGEST.search(entry))}:
            lock = self._lock(name, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock is None:
                continue
            try:
                gone += [name] if self._drop(name, kept) else []
            finally:
                os.close(lock)
        return gone

    def loose(self, keep: Iterable[str]) -> list[Path]:
        """What :meth:`sweep` would remove now: the folders of unpacked layers that nobody holds."""
        kept, found = set(keep), []
        for name in {seen[0] for entry in os.listdir(self.folder) if (seen := DIGEST.search(entry))} - kept:
            place = self.path(name)
            lock = self._lock(name, fcntl.LOCK_EX | fcntl.LOCK_NB) if place is not None else None
            if place is not None and lock is not None:
                os.close(lock)
                found.append(place)
        return sorted(found)

    def _drop(self, name: str, kept: set[str]) -> bool:
        """Remove leftovers, and the layer itself if it is not kept; under its lock."""
        removed = name not in kept and self.path(name) is not None
        if removed:
            self._place("", name).rename(self._place(".old-", name))
        for prefix in ".old-", ".new-", ".get-":
            self._clear(self._place(prefix, name))
        if name not in kept:
            self._place(".lock-", name).unlink(missing_ok=True)
        return removed

    def _hold(self, stack: Stack, name: str, make: Callable[[Path, int], Any]) -> None:
        """Add a folder to the stack, making it if it is not there."""
        while True:
            lock = self._lock(name, fcntl.LOCK_SH)
            place = self.path(name)
            if place and lock is not None:
                stack.add(place, lock)
                return
            if lock is not None:
                os.close(lock)
            self._make(name, make)

    def _make(self, name: str, make: Callable[[Path, int], Any]) -> None:
        lock = self._lock(name, fcntl.LOCK_EX)
        if lock is None:
            return
        try:
            if self.path(name) is None:
                place = self._place(".new-", name)
                self._clear(place)
                with self._cleared(place):
                    make(place, lock)
                    place.rename(self._place("", name))
                    _sync(self.folder)
        finally:
            os.close(lock)

    def _unpack(self, digest: str, place: Path, lock: int, download: Download) -> None:
        tar = self._place(".get-", digest)
        with self._cleared(tar):
            download(digest, tar)
            try:
                self._helper("unpack", lock, tar=str(tar), place=str(place), digest=digest)
            except BadRequest as error:
                raise Unavailable(f"layer {digest[:12]}: {error.parameter}", hint=error.hint) from error

    def _helper(self, verb: str, lock: int, **words: Any) -> Any:
        """One step in a process of its own, which keeps the lock if this one dies."""
        return helper(verb, None if self._ids.root else self._ids, fds=[lock], **words)

    @contextlib.contextmanager
    def _cleared(self, path: Path) -> Iterator[None]:
        """Nothing is left of a temporary name, however the block ends."""
        try:
            yield
        finally:
            self._clear(path)

    def _clear(self, path: Path) -> None:
        if path.is_symlink() or path.is_file():
            path.unlink()
        else:
            userns.remove_tree(path, self._ids)

    def _place(self, prefix: str, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise BadRequest(f"{digest!r} is no digest of a layer: 64 hexadecimal digits")
        return self.folder / (prefix + digest)

    def _lock(self, name: str, kind: int) -> int | None:
        """The lock of a layer; None if it is taken, where ``kind`` says not to wait."""
        path = self._place(".lock-", name)
        while True:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, kind)
                if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
                    return lock
            except BlockingIOError:
                os.close(lock)
                return None
            except FileNotFoundError:
                pass
            os.close(lock)  # it was swept away meanwhile, with the layer


def pack_layer(roots: Sequence[tuple[str, Path]], out: Path, ids: Ids | None, *, limit: int = 0) -> Packed:
    """Pack writable folders of a sandbox (see :func:`picloud.sandbox.pack.pack`).

    Args:
        roots: (path in the layer, folder).
        out: the file to write; nothing of it stays after an error.
        ids: those of the sandbox; None = the files have the ids they have inside.
        limit: bytes of files that the layer may hold; 0 = any number.

    Raises:
        BadRequest: something in it cannot be in a layer.
        TooLarge: it would hold more than ``limit``.
        StorageFull: the disk is full.
    """
    try:
        named = [(prefix, str(folder)) for prefix, folder in roots]
        return Packed(*helper("pack", ids, roots=named, out=str(out), limit=limit))
    except BaseException:
        out.unlink(missing_ok=True)
        raise


def _blocks(digests: Sequence[str]) -> list[Sequence[str]]:
    """What becomes one folder each: all apart, or where they are many those above the lowest in one block."""
    if len(digests) <= DEEP:
        return [[digest] for digest in digests]
    end = 1 + (len(digests) - 1) // BLOCK * BLOCK
    return [digests[:1], digests[1:end], *([digest] for digest in digests[end:])]


# -- the process that does it ----------------------------------------------------------------------------------------


def helper(verb: str, ids: Ids | None, *, fds: Sequence[int] = (), module: str = "picloud.sandbox.layer", **words: Any) -> Any:
    """Run a verb of ``module``'s main in a process of its own; what it answers, or the error it raised."""
    words["ids"] = ids
    argv = [sys.executable, "-P", "-m", module, verb, json.dumps(words)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, pass_fds=tuple(fds), check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise SetupError(f"{verb} of a layer ended with status {done.returncode}: {done.stderr.decode()[-500:]}") from None
    if "error" in answer:
        raise from_dict(answer["error"])
    return answer["ok"]


def answer(verbs: dict[str, Callable[..., Any]], words: list[str]) -> int:
    """The other end of :func:`helper`."""
    given = json.loads(words[1])
    given["ids"] = Ids(*given["ids"]) if given["ids"] else None
    try:
        said: dict[str, Any] = {"ok": verbs[words[0]](**given)}
    except CloudException as error:
        said = {"error": error.to_dict()}
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        said = {"error": (StorageFull("the disk is full") if full else SetupError(f"a layer: {error}")).to_dict()}
    os.write(1, json.dumps(said).encode())
    return 0


def _pack(ids: Ids | None, roots: list[tuple[str, str]], out: str, limit: int) -> Packed:
    opened = [(prefix, os.open(folder, os.O_RDONLY | os.O_DIRECTORY)) for prefix, folder in roots]
    with open(out, "wb") as file:
        if ids:
            userns.enter(ids)
        return pack.pack(opened, file, limit=limit)


def _unpack(ids: Ids | None, tar: str, place: str, digest: str) -> list[int]:
    os.mkdir(place, 0o755)
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    with open(tar, "rb") as file:
        if ids:
            userns.enter(ids)
        unpack.enter_folder(folder)
        found = unpack.unpack(file, single=ids is not None and ids.count == 1)
    if found.digest != digest:
        raise BadRequest("what came is not what was asked for", hint="try again; the download was cut short or altered")
    userns.syncfs(folder)
    return [found.files, found.size]


def _squash(ids: Ids | None, sources: list[str], place: str) -> None:
    if ids:
        userns.enter(ids)
    squash.squash([Path(source) for source in sources], Path(place))
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    userns.syncfs(folder)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.exit(answer({"pack": _pack, "unpack": _unpack, "squash": _squash}, sys.argv[1:]))
