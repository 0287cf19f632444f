"""A backup becomes an installation again, in an empty home.

While it is made, the home carries a mark, under which no server starts; so what was cut off is not taken for the whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Struct

from picloud.server import generation as layout
from picloud.server import home as homes
from picloud.server.backup import SQLITE, database_of, files_of
from picloud.server.generation import DATABASE, HOME, RESTORED, Blob, Generation
from picloud.settings import Settings
from picloud.store import backup as databases
from picloud.store import migrate
from picloud.store.db import Database
from picloud.store.files import Files
from picloud.wire.error import Conflict, Corrupt, NotFound, SetupError

THREADS = 8
AGAIN = 1_000_000_000_000
"""Jids left out for whatever another server did that was restored from the same folder."""


class Restored(Struct):
    """What came of a backup."""

    home: str
    name: str  # of the backup
    time: int  # epoch ms, of the state in it
    version: str  # that made it
    blobs: int
    bytes: int
    revoked: int  # jobs that were in workers' hands
    once: int  # queued jobs that must never run twice, and may have run since
    sealed: int  # secrets, which only the old home's key opens
    after: int  # the jid after which new ones are given
    database: str  # URL of the database, without a password
    missing: list[str]  # larger values that the backup has not, or not as they were stored


def take(folder: Path, home: Path, name: str, load: Callable[[], Settings], damaged: bool = False) -> Restored:
    """Make an installation of a backup.

    Args:
        folder: that ``picloud backup`` was given.
        home: empty, or not there yet.
        name: of the backup in it; "" = the newest whole one.
        load: reads the settings, which come with the backup.
        damaged: leave out larger values that are damaged; who asks for one is told that its bytes are lost.

    Raises:
        Corrupt: the backup was cut off or damaged. NotFound: there is none.
        SetupError: it is from a newer version, or the home or the database cannot take it.
        Conflict: the home is not empty.
    """
    found = layout.chosen(folder, name)
    migrate.refuse_newer(found.manifest.revision)
    found.check()
    _check_empty(home)
    homes.check_file_system(home)
    homes.make_folder(home)
    homes.write_private(home / homes.UNFINISHED, f"{found.folder}\n".encode())
    try:
        restored = _filled(found, home, load, damaged)
    except BaseException:
        _clear(home)
        raise
    (home / homes.UNFINISHED).unlink()
    return restored


def _check_empty(home: Path) -> None:
    """An unfinished attempt is cleared away: nobody can have worked with it."""
    if (home / homes.UNFINISHED).exists():
        _clear(home)
    held = sorted(set(os.listdir(home)) - {"lost+found"}) if home.is_dir() else []
    if held:
        raise Conflict(f"{home} is not empty ({', '.join(held[:3])})", hint="set PICLOUD_HOME to a new folder, or move it away")


def _clear(home: Path) -> None:
    """Empty a home in which nothing ran; the mark last."""
    for entry in home.iterdir():
        if entry.name in (homes.UNFINISHED, "lost+found"):
            continue
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    (home / homes.UNFINISHED).unlink(missing_ok=True)


def _filled(found: Generation, home: Path, load: Callable[[], Settings], damaged: bool) -> Restored:
    _copy_home(found.folder / HOME, home)
    settings = load()
    url = database_of(settings)
    sort = databases.sort_of(url)
    if sort != found.manifest.database:
        raise SetupError(f"the backup is of a {found.manifest.database} database, and the setting `database` names one of {sort}",
                         hint="set PICLOUD_DATABASE to an empty database of the same sort")  # fmt: skip
    databases.check_empty(url)
    files = files_of(settings)
    lost = _place_all(files, found, damaged)
    databases.recovered(found.folder / DATABASE, url)
    now = time.time_ns() // 1_000_000
    first = max(databases.beyond(found.manifest.last, found.manifest.time, now), _told(found.folder.parent) + AGAIN)
    _tell(found.folder.parent, first)
    db = Database.open(url)
    try:
        taken = db.write(databases.taken_up, first, now).result()
    finally:
        db.close()
    for copy in home.glob(f"{SQLITE}.before-*"):  # what the migration kept is in the backup
        copy.unlink()
    said = found.manifest
    return Restored(str(home), found.name, said.time, said.version, said.blobs - len(lost), said.bytes, taken.revoked, taken.once,
                    taken.sealed, first, databases.shown(url), said.missing + lost)  # fmt: skip


def _copy_home(source: Path, home: Path) -> None:
    for path in sorted(source.rglob("*")):
        target = home / path.relative_to(source)
        if path.is_dir():
            homes.make_folder(target)
        else:
            homes.write_private(target, path.read_bytes())


def _place_all(files: Files, found: Generation, damaged: bool) -> list[str]:
    """Bring all larger values back, several at once: each waits for the disk. Names of damaged ones that were left out."""

    def place(one: Blob) -> str:
        try:
            _place(files, layout.place_of(found.folder.parent, one.name), one)
        except Corrupt:
            if not damaged:
                raise
            return one.name
        return ""

    with ThreadPoolExecutor(THREADS) as pool:
        placing = [pool.submit(place, one) for one in found.blobs()]
        try:
            return [name for each in placing if (name := each.result())]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _place(files: Files, source: Path, blob: Blob) -> None:
    """Bring a larger value back, unless its store has it still.

    Raises:
        Corrupt: it is not what was stored.
    """
    with contextlib.suppress(NotFound):
        if files.size(blob.name) == blob.size and files.path(blob.name) is None:
            return  # an object store compares what it keeps by itself
    layout.check_file(source, blob.digest, "take an older one: --from; or leave it out: --without-damaged")
    with source.open("rb") as reading, files.create(blob.name) as sink:
        while piece := reading.read(layout.PIECE):
            sink.write(piece)
    if files.size(blob.name) != blob.size:
        raise Corrupt(f"{blob.name} came back with another size", hint="see picloud doctor")


def _told(folder: Path) -> int:
    """The largest jid that a server restored from this folder began with; so that none can be told, minus enough."""
    try:
        return max(msgspec.json.decode((folder / RESTORED).read_bytes(), type=list[int]), default=-AGAIN)
    except (FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError):
        return -AGAIN


def _tell(folder: Path, first: int) -> None:
    """Note it for the next one; a folder that may only be read stays as it is."""
    with contextlib.suppress(OSError):
        told = _told(folder)
        homes.write_private(folder / RESTORED, msgspec.json.encode([*([told] if told > 0 else []), first]))
