"""Backups: all that an installation is, copied while it serves.

The database first, as of one moment; then the larger values that this state names, which are immutable and stay for a day or
more after nobody names them. Those that the folder has already are left, so the second backup takes what is new. On the same
disk they are linked and not copied. See docs/explain/backup.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Struct

from picloud import __version__
from picloud.server import generation as layout
from picloud.server import home as homes
from picloud.server.generation import BLOBS, DATABASE, HOME, MANIFEST, MARK, PART, Blob, Generation, Manifest
from picloud.settings import Settings
from picloud.store import backup as databases
from picloud.store.files import Files, open_files
from picloud.store.files.folder import sync_folder
from picloud.wire.error import BadRequest, CloudException, Conflict, NotFound, SetupError

THREADS = 4
TRIES = 3
"""A larger value may go while its backup is made, where ``keep_unused`` is short: then a newer state is copied."""
LEFT_OUT = ("blob", "work", "layers", "probe", "lost+found", "server.json", "server.lock", "server.log", homes.STOPPED_FILE,
            homes.UNFINISHED, homes.VAULT)  # fmt: skip
"""Of the home: what is copied otherwise, what can be made again, what is about the server that runs now, and what opens the
secrets: whoever finds a backup shall not have them."""
SQLITE = "picloud.sqlite"


class Made(Struct):
    """What a backup was."""

    folder: str
    name: str
    seconds: float
    blobs: int
    bytes: int
    added: int  # larger values that the folder did not have yet
    linked: int  # of them those that take no further room
    copied: int  # bytes that were written for this backup
    removed: list[str]  # older backups
    missing: list[str]  # larger values whose bytes are lost


def database_of(settings: Settings) -> str:
    """The URL of an installation's database."""
    return settings.database or f"sqlite:///{Path(settings.home) / SQLITE}"


def files_of(settings: Settings) -> Files:
    """Where its larger values rest."""
    return open_files(settings.blobs, Path(settings.home) / "blob")


def make(settings: Settings, folder: Path, keep: int) -> Made:
    """Copy an installation, whether or not its server runs.

    Args:
        settings: of the installation.
        folder: for its backups, on whatever disk; made if it is not there.
        keep: backups that stay there, this one included.

    Raises:
        SetupError: nothing to copy, or the folder is not for it.
        Conflict: another backup is under way there, or it holds those of another installation.
        Corrupt: the database is damaged.
    """
    home, begun = Path(settings.home), time.monotonic()
    if not (home / "secret").exists():
        raise SetupError(f"there is no installation in {home}", hint="set PICLOUD_HOME to the one that you mean")
    _open(folder, home)
    with _locked(folder):
        installation = hashlib.sha256(b"installation" + (home / "secret").read_bytes()).hexdigest()[:32]
        _check_same(folder, installation)
        layout.clear(folder)
        made = Backup(settings, folder, installation).made()
        made.removed = _remove_old(folder, keep)
        made.seconds = round(time.monotonic() - begun, 3)
    return made


class Backup:
    """One backup in the making."""

    def __init__(self, settings: Settings, folder: Path, installation: str) -> None:
        self._settings, self._folder, self._installation = settings, folder, installation
        self._files = files_of(settings)
        self._known = _known(folder)
        self._linked = self._copied = 0

    def made(self) -> Made:
        """Copy everything; the manifest last."""
        name = _fresh(self._folder)
        part = self._folder / f"{name}{PART}"
        try:
            part.mkdir(mode=0o700)
            now, found, blobs, missing = self._state(part)
            with open(part / BLOBS, "w", opener=layout.private) as lines:
                lines.writelines(f"{one.name} {one.size} {one.digest}\n" for one in blobs)
            self._copy_home(part / HOME)
            digests = {path: layout.digest_of(part / path) for path in _files_in(part)}
            own = sum((part / path).stat().st_size for path in digests)
            manifest = Manifest(version=__version__, revision=found.revision, time=now, last=found.last,
                                installation=self._installation, home=self._settings.home,
                                database=databases.sort_of(database_of(self._settings)), files=digests, blobs=len(blobs),
                                bytes=own + sum(one.size for one in blobs), missing=missing)  # fmt: skip
            _to_disk(part)
            self._sync_pool()
            homes.write_private(part / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
            part.rename(self._folder / name)
            sync_folder(self._folder)
        except OSError as error:
            raise SetupError(f"the backup could not be written: {error}", hint="the former ones are as they were") from error
        new = len([one for one in blobs if one.name not in self._known])
        return Made(str(self._folder), name, 0.0, len(blobs), manifest.bytes, new, self._linked, self._copied + own, [], missing)

    def _state(self, part: Path) -> tuple[int, databases.Copied, list[Blob], list[str]]:
        """The database with all blobs it names: a newer state of it, if some of them went meanwhile."""
        for left in range(TRIES - 1, -1, -1):
            now = time.time_ns() // 1_000_000
            (part / DATABASE).unlink(missing_ok=True)
            found = databases.copied(database_of(self._settings), part / DATABASE)
            with ThreadPoolExecutor(THREADS) as pool:
                blobs = list(pool.map(self._take, found.blobs))
            missing = [name for (name, _), one in zip(found.blobs, blobs, strict=True) if one is None]
            if not missing or not left:
                break
        return now, found, [one for one in blobs if one is not None], missing

    def _take(self, wanted: tuple[str, int]) -> Blob | None:
        """See to it that the folder has a blob; None where its bytes are gone, or not as many as they were."""
        name, size = wanted
        place = layout.place_of(self._folder, name)
        known = self._known.get(name)
        if known is not None and _size(place) == size:
            return known
        if _size(place) != size:
            place.unlink(missing_ok=True)
            place.parent.mkdir(mode=0o700, exist_ok=True)
            source = self._files.path(name)
            if source is None or not _link(source, place):
                try:
                    digest = layout.copy(source, place) if source else self._fetch(name, place)
                except (FileNotFoundError, NotFound):
                    return None
                self._copied += size
                return Blob(name, size, digest) if _size(place) == size else None
            self._linked += 1
        return Blob(name, size, layout.digest_of(place)) if _size(place) == size else None

    def _fetch(self, name: str, place: Path) -> str:
        """Copy a blob out of an object store; its sha256."""
        temporary = place.with_name(f"{name}.get.new")
        with open(temporary, "wb", opener=layout.private) as file:
            file.writelines(self._files.read(name))
        try:
            return layout.copy(temporary, place)
        finally:
            temporary.unlink()

    def _copy_home(self, target: Path) -> None:
        """Settings and secrets, private as they are."""
        target.mkdir(mode=0o700)
        home = Path(self._settings.home)
        for entry in sorted(home.iterdir()):
            if entry.name in LEFT_OUT or entry.name.startswith((".", SQLITE)):
                continue
            copied = shutil.copytree if entry.is_dir() else shutil.copy2 if entry.is_file() else None
            if copied is not None:
                with contextlib.suppress(FileNotFoundError):
                    copied(entry, target / entry.name)
        for path in target.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)

    def _sync_pool(self) -> None:
        pool = self._folder / "blob"
        for folder in (*pool.iterdir(), pool):
            sync_folder(folder)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _link(source: Path, target: Path) -> bool:
    """Give a file that never changes a second name; False where that cannot be: another disk, another user's."""
    try:
        target.hardlink_to(source)
    except OSError:
        return False
    return True


def _files_in(part: Path) -> list[str]:
    return sorted(str(path.relative_to(part)) for path in part.rglob("*") if path.is_file() and not path.is_symlink())


def _to_disk(part: Path) -> None:
    for path in [*part.rglob("*"), part]:
        if path.is_dir():
            sync_folder(path)
        elif path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)


def _open(folder: Path, home: Path) -> None:
    """Make the folder, private, or see that it is one for backups."""
    place, root = folder.resolve(), home.resolve()
    if place == root or root in place.parents:
        raise BadRequest(f"{folder} lies in the home that is to be saved", hint="take another folder, best on another disk")
    try:
        homes.make_folder(folder)
        if not (folder / MARK).exists() and os.listdir(folder):
            raise BadRequest(f"{folder} holds something else", hint="take an empty or a new folder")
        if not (folder / MARK).exists():
            homes.write_private(folder / MARK, b"Backups of PiCloud, made by: picloud backup\n")
        homes.make_folder(folder / "blob")
    except OSError as error:
        raise SetupError(f"{folder} cannot be used: {error.strerror}", hint="take a folder that you may write to") from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / MARK).open() as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"another backup to {folder} is under way", hint="wait for it") from error
        yield


def _check_same(folder: Path, installation: str) -> None:
    former = _newest(folder)
    if former is not None and former.manifest.installation != installation:
        raise Conflict(f"{folder} holds backups of another installation ({former.manifest.home})", hint="take another folder")


def _newest(folder: Path) -> Generation | None:
    """The newest one that can be read: a damaged one shall not be in the way of a new one."""
    for name in layout.names(folder):
        with contextlib.suppress(CloudException):
            return Generation(folder / name)
    return None


def _known(folder: Path) -> dict[str, Blob]:
    former = _newest(folder)
    return {one.name: one for one in former.blobs()} if former else {}


def _fresh(folder: Path) -> str:
    """A name after all that are there, whatever the clock did."""
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    last = next(iter(layout.names(folder)), "").removesuffix(PART)
    if name > last.partition("-")[0]:
        return name
    stamp, _, count = last.partition("-")
    return f"{stamp}-{int(count or 0) + 1}"


def _remove_old(folder: Path, keep: int) -> list[str]:
    """Remove all but the newest, and the blobs that only they named. The names of those removed."""
    found = layout.names(folder)
    gone = found[keep:]
    for name in gone:
        (folder / name / MANIFEST).unlink(missing_ok=True)  # first: what is half removed is no backup
        shutil.rmtree(folder / name)
    if gone:
        _remove_unnamed(folder, (Generation(folder / name) for name in found[:keep]))
    return gone


def _remove_unnamed(folder: Path, kept: Iterable[Generation]) -> None:
    try:
        named = {one.name for generation in kept for one in generation.blobs()}
    except CloudException:
        return  # one of them cannot be read: nobody knows what it names
    for place in (folder / "blob").glob("*/*"):
        if place.name not in named:
            place.unlink()
