"""The folder of an installation's state: is it fit, and who serves it now.

Every check here raises :class:`SetupError` with one clear line and the remedy; ``picloud doctor`` shows the same ones.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct, field

from picloud.engine import process
from picloud.server.mounts import OVERLAY, file_system, is_network
from picloud.settings import MIB, Settings
from picloud.store.files.folder import sync_folder
from picloud.wire.error import SetupError

START_FREE = 64 * MIB
"""Bytes of disk without which a server cannot even finish what runs; ``min_free_disk`` guards what is new."""

FOLDERS = ("blob", "work", "tls", "credentials", "ssh")
SERVER_FILE = "server.json"
STOPPED_FILE = "stopped-workers"
"""Incarnations that `picloud down` was about to end: no job is to blame for that. The next server reads and removes it."""
VAULT = "secrets.key"
"""What opens the secrets of accounts; see :mod:`picloud.server.vault`."""
UNFINISHED = "restore-unfinished"
"""While this is in a home, a backup is being restored there, or was when it was cut off."""


_OURS = {
    "settings.toml",
    "cloudconf.py",
    "service.env",
    "picloud.sqlite",
    "server.lock",
    "server.json",
    "server.log",
    STOPPED_FILE,
    UNFINISHED,
    VAULT,
    "lost+found",
    "probe",
    *FOLDERS,
}


class Configured(Struct, frozen=True):
    """How settings.toml and environment said that the server shall listen, whatever flags said."""

    host: str = Settings().host
    port: int = Settings().port
    insecure: bool = Settings().insecure

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.host, settings.port, settings.insecure)

    def changed_since(self, former: Configured) -> dict[str, str | int | bool]:
        """What the user has set anew. No port of her own (0, or the default one) is no reason to leave the former one."""
        found = {name: getattr(self, name) for name in self.__struct_fields__ if getattr(self, name) != getattr(former, name)}
        if self.port in (0, Configured().port):
            found.pop("port", None)
        return found


class ServerFile(Struct, kw_only=True):
    """``server.json``: who serves this home. Written when the server answers, removed when it stops for good."""

    address: str  # URL for this machine
    pid: int
    started: int  # epoch ms
    version: str
    edge_pid: int | None = None
    tls_fingerprint: str | None = None  # sha256 of the certificate, hex
    login_url: str = ""  # works once
    owner: str = ""  # account name
    owner_key: str = ""  # an API key of it whose secret is stored in this home
    client: str = ""  # URL of another server, which this user's client was set up for and stays with
    first: bool = False  # this start created the installation
    remote: str | None = None  # URL for other machines
    host: str = ""  # the options it was started with, for ``picloud restart``
    port: int = 0  # really bound
    insecure: bool = False
    configured: Configured = field(default_factory=Configured)
    ticks: int = 0  # start time of the process since boot; filled in when written


def prepare(settings: Settings) -> None:
    """Create the home and its folders, private to their owner, and check that state may live there.

    Raises:
        SetupError: a network or overlay file system, not writable, another user's, or (nearly) full.
    """
    home = Path(settings.home)
    check_file_system(home)
    if (home / UNFINISHED).exists():
        raise SetupError(f"{home} is half restored", hint="run picloud restore DIR again; it begins anew")
    try:
        make_folder(home)
        _make_private(home)
        check_writable(home)
        for name in FOLDERS:
            make_folder(home / name)
    except OSError as error:
        raise _unfit(home, error) from error
    check_free_space(home)


def check_file_system(home: Path, table: str | None = None) -> str:
    """The type of the file system under ``home``. ``table``: see :func:`picloud.server.mounts.file_system`.

    Raises:
        SetupError: it is a network or an overlay one.
    """
    kind = file_system(home, table)
    if is_network(kind):
        raise SetupError(
            f"{home} is on a network file system ({kind}); the database would not be safe there",
            hint="set PICLOUD_HOME to a folder on a local disk",
            file_system=kind,
        )
    if kind in OVERLAY:
        raise SetupError(
            f"{home} is on an overlay file system ({kind}); what it holds goes with its container",
            hint="set PICLOUD_HOME to a folder on a mounted volume or a local disk",
            file_system=kind,
        )
    return kind


def check_writable(folder: Path) -> None:
    """Write into a folder, as the database will; leaves nothing.

    Raises:
        SetupError: it cannot be written to; the text says why.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        # The temporary file's name would tell nobody anything.
        raise _unfit(folder, OSError(error.errno, error.strerror)) from error


def check_free_space(home: Path) -> int:
    """Bytes free for us under ``home``.

    Raises:
        SetupError: too few to start.
    """
    free = shutil.disk_usage(home).free
    if free < START_FREE:
        raise SetupError(
            f"the disk of {home} is full: {free // MIB} MiB free, at least {START_FREE // MIB} MiB are needed",
            hint="free some space, or set PICLOUD_HOME to another disk",
            free=free,
        )
    return free


def read_server_file(home: Path) -> ServerFile | None:
    """Who serves this home, or served it last; None if nobody ever did or the last one stopped in order."""
    try:
        return msgspec.json.decode((home / SERVER_FILE).read_bytes(), type=ServerFile)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    except OSError as error:
        raise _unfit(home, error) from error


def write_server_file(home: Path, file: ServerFile) -> ServerFile:
    """Write ``server.json`` in one move, readable by its owner only; what was written, with ``ticks``."""
    file.ticks = process.started(file.pid) or 0
    write_private(home / SERVER_FILE, msgspec.json.format(msgspec.json.encode(file)) + b"\n")
    return file


def remove_server_file(home: Path) -> None:
    """Say that nobody serves this home."""
    with contextlib.suppress(FileNotFoundError):
        (home / SERVER_FILE).unlink()


def running(home: Path) -> ServerFile | None:
    """The server that answers for this home now, or None."""
    file = read_server_file(home)
    return file if file and process.alive(file.pid, file.ticks) else None


def note_stopped(home: Path, incarnations: set[str]) -> None:
    """Remember, across power cuts, workers that are about to be ended on purpose."""
    if incarnations - (known := stopped(home)):
        write_private(home / STOPPED_FILE, "".join(f"{name}\n" for name in sorted(incarnations | known)).encode())


def stopped(home: Path) -> set[str]:
    """The workers that were ended on purpose since the last server began."""
    try:
        return set((home / STOPPED_FILE).read_text().split())
    except FileNotFoundError:
        return set()


def forget_stopped(home: Path) -> None:
    """All of them are accounted for."""
    (home / STOPPED_FILE).unlink(missing_ok=True)


def write_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 in one move: a reader sees the old bytes or the new ones, after a power cut the new ones."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder, private to its owner, and those above it; they are there after a power cut too."""
    if not path.is_dir():
        if not path.parent.exists():
            make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(PermissionError):  # the one above is another user's, who made it long ago
        sync_folder(path.parent)


def owner(home: Path) -> str:
    """The name of the user whom a home belongs to; "" where that is root, or nobody yet."""
    try:
        found = home.owner()
    except (OSError, KeyError):
        return ""
    return "" if found == "root" else found


def _make_private(home: Path) -> None:
    """Close the folder to others if it is ours alone; a folder that others use is not for us to change."""
    found = home.stat()
    if found.st_uid != os.geteuid() and os.geteuid() != 0:
        raise SetupError(f"{home} belongs to another user (uid {found.st_uid})", hint="set PICLOUD_HOME to a folder of your own")
    if not found.st_mode & 0o077:
        return
    strangers = sorted(set(os.listdir(home)) - _OURS)
    if strangers:
        raise SetupError(
            f"{home} is open to other users and holds other files ({', '.join(strangers[:3])})",
            hint="set PICLOUD_HOME to a folder of its own",
        )
    home.chmod(0o700)


def _unfit(home: Path, error: OSError) -> SetupError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError(f"the disk of {home} is full", hint="free some space, or set PICLOUD_HOME to another disk")
    reason = os.strerror(error.errno) if error.errno else str(error)
    where = error.filename if error.filename and str(error.filename) != str(home) else home
    return SetupError(f"{where} is not usable: {reason}", hint="set PICLOUD_HOME to a folder you can write to")
