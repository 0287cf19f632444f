"""Two trees of files made alike, one on this machine and one in a volume: what differs is found first, and only that travels.

A file is the same if size and time of modification are; else if size and md5 are. What lies in a volume knows the time that
its file had, until somebody stores another content.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from cloud import _batches, _download, _objects, _source, _target, _upload
from cloud._digest import md5
from cloud._progress import Bar
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.object import (
    BATCH,
    BATCH_BYTES,
    CARRIED,
    MODE,
    MTIME,
    Content,
    Keys,
    List,
    Listing,
    New,
    Object,
    check_key,
    modified_ns,
)

PAGE = 10 * BATCH


class Remote:
    """A path in a volume; ``inside``: what is in it, not the folder itself."""

    def __init__(self, volume: str, key: str, inside: bool = False) -> None:
        self.volume, self.key, self.inside = volume, key, inside or not key

    def __str__(self) -> str:
        return f"{self.volume}:{self.key}"


class Synced(NamedTuple):
    """What a sync did."""

    sent: int
    bytes: int
    removed: int
    skipped: int  # links to folders, devices and the like, which volumes cannot hold


class Local(NamedTuple):
    """A file of this machine."""

    path: str
    size: int
    mtime: int  # ns
    mode: str  # "x" = a program

    @property
    def headers(self) -> dict[str, str]:
        return {MTIME: str(self.mtime)} | ({MODE: self.mode} if self.mode else {})


class Tree(NamedTuple):
    """Files of this machine, by the keys that they have or shall have in the volume."""

    files: dict[str, Local]
    folders: set[str]
    skipped: int


# -- looking ------------------------------------------------------------------------------------------------------------


def is_folder(one: Remote) -> bool:
    """Whether there is a folder of that name; a volume is one itself."""
    if not one.key:
        return True
    found = _objects.ask("find", Keys([one.key], one.volume, folders=True), list[Object])
    return bool(found) and found[0].key.endswith("/")


def level(one: Remote) -> list[Object]:
    """What lies directly in a folder; of a file, the file.

    Raises:
        NotFound: there is nothing of that name.
    """
    if one.key and (found := _objects.find([one.key], one.volume)):
        return found
    if not is_folder(one):
        raise NotFound(f"there is nothing at {one}", hint=f"cloud.volume.ls('{one.volume}:') shows what there is")
    return list(_pages(one.volume, one.key, level=True))


def _pages(volume: str, folder: str, level: bool = False) -> Iterator[Object]:
    after = ""
    while True:
        page = _objects.ask("list", List(folder, after, PAGE, level, volume), Listing)
        yield from page.objects
        if not page.truncated:
            return
        after = page.objects[-1].key


def scanned(path: str, key: str) -> Tree:
    """All files below a folder, or the file itself; links to files are followed."""
    tree = Tree({}, set(), 0)
    skipped, todo = 0, [(path, key)]
    if not os.path.isdir(path):
        return Tree({check_key(key): _local(path, os.stat(path))}, set(), 0)
    while todo:
        folder, below = todo.pop()
        if below:
            tree.folders.add(below)
        with os.scandir(folder) as entries:
            for entry in entries:
                name = check_key(f"{below}/{entry.name}" if below else entry.name)
                if entry.is_dir(follow_symlinks=False):
                    todo.append((entry.path, name))
                elif entry.is_file():
                    tree.files[name] = _local(entry.path, entry.stat())
                else:
                    skipped += 1
    return tree._replace(skipped=skipped)


def _local(path: str, found: os.stat_result) -> Local:
    return Local(path, found.st_size, found.st_mtime_ns, "x" if found.st_mode & stat.S_IXUSR else "")


def _same(local: Local, there: Object, volume: str) -> bool:
    if local.size != there.size or local.mode != there.headers.get(MODE, ""):
        return False
    if there.headers.get(MTIME) == str(local.mtime):
        return True
    return _md5_of(local.path) == (there.md5 or _objects.digest(there.key, volume))


def _md5_of(path: str) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


# -- to the volume ------------------------------------------------------------------------------------------------------


def up(sources: Sequence[str], dest: Remote, delete: bool) -> Synced:
    """Bring files of this machine into a folder of a volume. Arguments and errors as of :func:`cloud.volume.sync`."""
    plan, roots = Tree({}, set(), 0), []
    for source in sources:
        inside = source.endswith(os.sep) or os.path.basename(source) in (".", "..")
        name = "" if inside and os.path.isdir(source) else os.path.basename(os.path.abspath(source))
        key = "/".join(part for part in (dest.key, name) if part)
        found = scanned(source, key)
        plan.files.update(found.files)
        plan.folders.update(found.folders)
        plan = plan._replace(skipped=plan.skipped + found.skipped)
        if os.path.isdir(source):
            roots.append(key)
    there = _there(dest.volume, roots, plan.files)
    gone = [key for key in there if key not in plan.files] if delete else []
    removed = _remove(dest.volume, gone, plan, roots)
    wanted = {key: one for key, one in plan.files.items() if key not in there or not _same(one, there[key], dest.volume)}
    _make_folders(dest.volume, plan, there)
    with Bar(sum(one.size for one in wanted.values()), what=f"to {dest}", unit="bytes") as bar:
        _send(wanted, dest.volume, bar)
    return Synced(len(wanted), sum(one.size for one in wanted.values()), removed, plan.skipped)


def _there(volume: str, roots: Sequence[str], files: dict[str, Local]) -> dict[str, Object]:
    found = {one.key: one for root in roots for one in _pages(volume, root)}
    single = [key for key in files if not any(not root or key.startswith(f"{root}/") for root in roots)]
    for at in range(0, len(single), BATCH):
        found |= {one.key: one for one in _objects.find(single[at : at + BATCH], volume)}
    return found


def _remove(volume: str, gone: Sequence[str], plan: Tree, roots: Sequence[str]) -> int:
    """Remove objects; folders that this machine does not have go as a whole."""
    folders, single = set[str](), []
    for key in gone:
        above = [key[:at] for at, letter in enumerate(key) if letter == "/"]
        lost = next((one for one in above if one not in plan.folders and _below(one, roots)), None)
        if lost is None:
            single.append(key)
        else:
            folders.add(lost)
    if single:
        _objects.remove(single, volume)
    for folder in folders:
        _objects.remove_below(folder, volume)
    return len(gone)


def _below(folder: str, roots: Sequence[str]) -> bool:
    return any(not root or folder.startswith(f"{root}/") for root in roots)


def _make_folders(volume: str, plan: Tree, there: dict[str, Object]) -> None:
    """Folders in which there is nothing; the others are there by what is in them."""
    full = {key[:at] for key in (*plan.files, *there) for at, letter in enumerate(key) if letter == "/"}
    parents = {folder.rpartition("/")[0] for folder in plan.folders}
    for folder in sorted(plan.folders - full - parents):
        _objects.change("folder", folder, volume=volume)


def _send(wanted: dict[str, Local], volume: str, bar: Bar) -> None:
    sender = _batches.Sender(volume)
    batch, size = dict[str, New](), 0
    try:
        for key, one in wanted.items():
            if one.size > CARRIED:
                with _source.of_file(one.path) as source:
                    _upload.put(source, key, one.headers, volume=volume)
            else:
                if len(batch) == BATCH or size + one.size > BATCH_BYTES:
                    sender.send(batch)
                    batch, size = {}, 0
                batch[key] = _small(key, one)
                size += one.size
            bar.step(one.size)
        sender.send(batch)
    finally:
        sender.wait()


def _small(key: str, one: Local) -> New:
    with open(one.path, "rb") as file:
        data = file.read(one.size + 1)
    if len(data) != one.size:
        raise _source.changed(one.path)
    return New(key, one.size, md5(data), one.headers, data, token=_objects.token())


# -- from the volume ----------------------------------------------------------------------------------------------------


def down(sources: Sequence[Remote], dest: str, delete: bool) -> Synced:
    """Bring what lies in a volume into a folder of this machine. Arguments and errors as of :func:`cloud.volume.sync`."""
    wanted, kept, roots = list[tuple[Object, str]](), set[str](), list[str]()
    for source in sources:
        for one, path in _targets(source, dest, roots):
            kept.add(path)
            if one.key.endswith("/"):
                os.makedirs(path, exist_ok=True)
            elif not _is_here(one, path, source.volume):
                wanted.append((one, path))
    volume = sources[0].volume
    if any(source.volume != volume for source in sources):
        raise BadRequest("one sync reads one volume", hint="call it once for each")
    removed = _prune(roots, kept) if delete else 0
    total = sum(one.size for one, _ in wanted)
    with Bar(total, what=f"from {volume}", unit="bytes") as bar:
        _receive(wanted, volume, bar)
    return Synced(len(wanted), total, removed, 0)


def _targets(source: Remote, dest: str, roots: list[str]) -> Iterator[tuple[Object, str]]:
    """The objects of a source, and where they belong. Folders of this machine that stand for it go to ``roots``."""
    if source.key and (found := _objects.find([source.key], source.volume)):
        name = found[0].key.rpartition("/")[2]
        into = os.path.isdir(dest) or dest.endswith(os.sep) or os.path.basename(dest) in (".", "..")
        yield found[0], os.path.abspath(os.path.join(dest, name) if into else dest)
        return
    if not is_folder(source):
        raise NotFound(f"there is nothing at {source}", hint=f"cloud.volume.ls('{source.volume}:') shows what there is")
    root = os.path.abspath(dest if source.inside else os.path.join(dest, source.key.rpartition("/")[2]))
    roots.append(root)
    os.makedirs(root, exist_ok=True)
    cut = len(source.key) + 1 if source.key else 0
    for one in _pages(source.volume, source.key):
        yield one, os.path.join(root, one.key[cut:])


def _is_here(one: Object, path: str, volume: str) -> bool:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(found.st_mode):
        return False
    local = _local(path, found)
    if not _same(local, one, volume):
        return False
    _date(one, path)
    return True


def _receive(wanted: Sequence[tuple[Object, str]], volume: str, bar: Bar) -> None:
    small = {one.key: (one, path) for one, path in wanted if one.size <= CARRIED}
    for key, data in _batches.get_many(list(small), volume):
        one, path = small[key]
        _write(one, path, iter([data]))
        bar.step(len(data))
    for one, path in wanted:
        if one.key not in small:
            _download.save(one.key, _download.Range(), _writer(path, bar), volume)


def _writer(path: str, bar: Bar) -> Any:
    def write(found: Content, pieces: Iterator[bytes]) -> None:
        def counted() -> Iterator[bytes]:
            for piece in pieces:
                yield piece
                bar.step(len(piece))

        _write(found.object, path, counted())

    return write


def _write(one: Object, path: str, pieces: Iterator[bytes]) -> None:
    def fill(file: IO[bytes]) -> None:
        for piece in pieces:
            _target.write_all(file, piece)

    with _target.replacing(path) as file:
        fill(file)
    if one.headers.get(MODE) == "x":
        os.chmod(path, os.stat(path).st_mode | 0o111)
    _date(one, path)


def _date(one: Object, path: str) -> None:
    """The time that the file had; of what was written in the volume, the time of that."""
    time = modified_ns(one.headers, one.modified * 1_000_000)
    with contextlib.suppress(PermissionError):
        os.utime(path, ns=(time, time))


def _prune(roots: Sequence[str], kept: set[str]) -> int:
    """Remove files that the volume does not have, and the folders that are empty then; how many files."""
    removed = 0
    for root in roots:
        for folder, _, files in os.walk(root, topdown=False):
            for name in files:
                path = os.path.join(folder, name)
                if path not in kept:
                    os.unlink(path)
                    removed += 1
            if folder != root and folder not in kept and not os.listdir(folder):
                os.rmdir(folder)
    return removed
