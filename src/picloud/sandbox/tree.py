"""Removing what a job has left, however it is built: folders nested deeper than any path is long, or closed to their owner.

Links are never followed, what is mounted is never entered, nobody can lead us elsewhere meanwhile, and two descriptors are
enough for any depth: what is nested is moved up, to the top, before the folder that held it goes. Standard library only, quick
to import.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_names = itertools.count()


def remove(path: str) -> bool:
    """Remove a folder and everything in it; False if something is left that this process may not remove."""
    try:
        handle = os.open(path, _FOLDER)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        empty(handle)
    finally:
        os.close(handle)
    with contextlib.suppress(OSError):
        os.rmdir(path)
    return not os.path.lexists(path)


def empty(top: int, mine: int | None = None) -> None:
    """Remove everything in an open folder that this process may remove.

    Args:
        top: descriptor of the folder.
        mine: folders directly in it that belong to somebody else than this user stay (volumes); None: none stays.
    """
    stuck: set[str] = set()
    while names := [name for name in os.listdir(top) if name not in stuck]:
        for name in names:
            if not _away(top, name, mine):
                stuck.add(name)


def _away(top: int, name: str, mine: int | None) -> bool:
    """Remove one entry of the top; False: it is still there."""
    try:
        found = os.stat(name, dir_fd=top, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(name, dir_fd=top)
            return True
        if found.st_dev != os.fstat(top).st_dev or (mine is not None and found.st_uid != mine):
            return False
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=top)
            return True
        _lift(top, name)
        os.rmdir(name, dir_fd=top)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _lift(top: int, name: str) -> None:
    """Remove the files in a folder of the top, and move the folders in it up to the top."""
    handle = _opened(top, name)
    try:
        for entry in os.listdir(handle):
            found = os.stat(entry, dir_fd=handle, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                os.unlink(entry, dir_fd=handle)
                continue
            _free(handle, entry, found.st_mode)
            os.rename(entry, f".removed-{os.getpid()}-{next(_names)}", src_dir_fd=handle, dst_dir_fd=top)
    finally:
        os.close(handle)


def _opened(folder: int, name: str) -> int:
    """A descriptor of a folder, made free to change where it is ours."""
    _free(folder, name, os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return os.open(name, _FOLDER, dir_fd=folder)


def _free(folder: int, name: str, mode: int) -> None:
    """Let its owner change a folder. Root may anyway, and chmod would follow a link that took the folder's place."""
    if mode & 0o700 != 0o700 and os.geteuid():
        with contextlib.suppress(OSError):
            os.chmod(name, 0o700, dir_fd=folder)
