"""Several layers made one, so that the kernel need not look through dozens of folders for each name.

    squash([lower, ..., upper], place)

Files are hard links: it takes no space, and milliseconds a thousand files. What the layers remove of layers below them
all is still removed.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

OPAQUE = "user.overlay.opaque"


def squash(layers: Sequence[Path], place: Path) -> None:
    """Merge unpacked layers, the lowest first, into a new folder on the same file system. Raises OSError."""
    place.mkdir(mode=0o700)
    for layer in layers:
        _merge(str(layer), str(place))
    _dress(str(layers[-1]), str(place))


def _merge(source: str, place: str) -> None:
    """Lay what is in the folder ``source`` over the folder ``place``."""
    with os.scandir(source) as found:
        items = sorted(found, key=lambda item: item.name)
    for item in items:
        target = os.path.join(place, item.name)
        below = _status(target)
        if not item.is_dir(follow_symlinks=False):
            if below is not None:
                _remove(target, below)
            os.link(item.path, target, follow_symlinks=False)
        else:
            _folder(item.path, target, below)


def _folder(source: str, target: str, below: os.stat_result | None) -> None:
    opaque = _opaque(source)
    if below is not None and (opaque or not stat.S_ISDIR(below.st_mode)):
        opaque = True  # over something removed, or over a file: nothing from further down shines through either
        _remove(target, below)
        below = None
    if below is None:
        os.mkdir(target, 0o700)
        if opaque:
            os.setxattr(target, OPAQUE, b"y")
    _merge(source, target)
    _dress(source, target)


def _dress(source: str, target: str) -> None:
    """Owner, mode and time of a folder."""
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _opaque(folder: str) -> bool:
    try:
        return os.getxattr(folder, OPAQUE) == b"y"
    except OSError:
        return False


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _remove(path: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)
