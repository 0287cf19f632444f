"""The layout of a backup's folder.

    DIR/picloud-backup                  says what the folder is; locked while a backup is made
    DIR/restored                        the jids that restored servers began with
    DIR/blob/aa/<name>                  larger values: immutable, shared by all generations
    DIR/<time>/manifest.json            written last: what has none is no backup
               database                 the SQLite file, or pg_dump's
               blobs                    a line for each that it names: name, bytes, sha256
               home/..                  settings, keys, certificate

A **generation** is one backup that was made whole. It is made under another name, so that none is ever half there.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from picloud.wire.error import Corrupt, NotFound, SetupError

FORMAT = 1
MARK = "picloud-backup"
RESTORED = "restored"
MANIFEST, DATABASE, BLOBS, HOME = "manifest.json", "database", "blobs", "home"
PART = ".part"
PIECE = 1 << 20
_NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?")


class Manifest(Struct, kw_only=True):
    """``manifest.json``."""

    format: int = FORMAT
    version: str  # of PiCloud
    revision: str  # of the database
    time: int  # epoch ms, of the state that was copied
    last: int  # jid given last
    installation: str  # the same for all backups of one
    home: str
    database: str  # sqlite or postgresql
    files: dict[str, str]  # path in the generation -> sha256
    blobs: int
    bytes: int  # of all of it
    missing: list[str] = msgspec.field(default_factory=list)  # blobs whose bytes were not there


class Blob(NamedTuple):
    """A line of ``blobs``."""

    name: str
    size: int
    digest: str


class Generation:
    """One backup, made whole."""

    def __init__(self, folder: Path) -> None:
        """Raises Corrupt for one that was cut off or damaged, SetupError for one of a newer version."""
        self.folder, self.name = folder, folder.name
        self.manifest = _manifest(folder)

    def blobs(self) -> Iterator[Blob]:
        """The larger values that it holds."""
        with (self.folder / BLOBS).open() as lines:
            for line in lines:
                name, size, digest = line.split()
                yield Blob(name, int(size), digest)

    def check(self) -> None:
        """Compare its files with their digests; not the larger values, which are compared where they are copied.

        Raises:
            Corrupt: naming the first that differs.
        """
        for path, digest in self.manifest.files.items():
            check_file(self.folder / path, digest)


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise Corrupt(f"the backup {folder} was cut off: it has no manifest", hint="take an older one: --from") from error
    try:
        found = msgspec.json.decode(data)
        newer = isinstance(found, dict) and found.get("format", 0) > FORMAT
        made = None if newer else msgspec.convert(found, Manifest)
    except (msgspec.DecodeError, msgspec.ValidationError, TypeError) as error:
        raise Corrupt(f"the manifest {path} is damaged: {error}", hint="take an older backup: --from") from error
    if made is None:
        raise SetupError(f"{folder} was made by a newer version of PiCloud ({found.get('version')})",
                         hint="install that version, or take an older backup: --from")  # fmt: skip
    return made


def names(folder: Path) -> list[str]:
    """The generations in a backup's folder, whole or not, newest first.

    Raises:
        NotFound: there is no such folder.
        SetupError: it is something else.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}", hint="picloud backup DIR makes one")
    if not (folder / MARK).exists():
        raise SetupError(f"{folder} is no backup of PiCloud", hint="give the folder that you gave to picloud backup")
    found = [one for one in os.listdir(folder) if _NAME.fullmatch(one.removesuffix(PART)) and (folder / one).is_dir()]
    return sorted(found, reverse=True, key=lambda one: (_order(one.removesuffix(PART)), one))


def _order(name: str) -> tuple[str, int]:
    stamp, _, count = name.partition("-")
    return stamp, int(count or 0)


def newest(folder: Path) -> Generation | None:
    """The newest whole generation; None where there is none, or it cannot be read."""
    whole = [one for one in names(folder) if not one.endswith(PART)]
    return Generation(folder / whole[0]) if whole else None


def chosen(folder: Path, name: str) -> Generation:
    """The generation of that name, or the newest whole one for "".

    Raises:
        NotFound: there is none of that name.
        Corrupt: there is none but those that were cut off, or it is damaged.
    """
    found = names(folder)
    whole = [one for one in found if not one.endswith(PART)]
    if name and name not in whole:
        raise NotFound(f"{folder} holds no backup {name!r}", hint=f"it holds {', '.join(whole) or 'none'}")
    if not whole:
        cut = f"the backup {folder / found[0]} was cut off" if found else f"{folder} holds no backup"
        raise Corrupt(cut, hint="make another one: picloud backup DIR")
    return Generation(folder / (name or whole[0]))


def place_of(folder: Path, name: str) -> Path:
    """Where the bytes of a larger value rest in a backup's folder."""
    return folder / "blob" / name[:2] / name


def digest_of(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_file(path: Path, digest: str, hint: str = "take an older one: --from") -> None:
    """Compare a file with its digest; ``hint``: what to do where it differs.

    Raises:
        Corrupt: it is missing, or another one.
    """
    try:
        found = digest_of(path)
    except FileNotFoundError as error:
        raise Corrupt(f"the backup is damaged: {path} is missing", hint=hint) from error
    if found != digest:
        raise Corrupt(f"the backup is damaged: {path} is not what was stored", hint=hint)


def copy(source: Path, target: Path) -> str:
    """Copy a file's bytes to the disk under a name that shows the whole or nothing, of mode 0600; its sha256."""
    made, temporary = hashlib.sha256(), target.with_name(f"{target.name}.new")
    with source.open("rb") as reading, open(temporary, "wb", opener=private) as writing:
        while piece := reading.read(PIECE):
            made.update(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    temporary.rename(target)
    return made.hexdigest()


def private(path: str, flags: int) -> int:
    """Opens files as their owner's alone, for ``open``."""
    return os.open(path, flags, 0o600)


def clear(folder: Path) -> None:
    """Remove what backups left that were cut off."""
    for name in names(folder):
        if name.endswith(PART):
            shutil.rmtree(folder / name)
    for left in (folder / "blob").glob("*/*.new"):
        left.unlink()
