"""Mounting and unmounting: an open ``/dev/fuse`` that the kernel asks about a folder.

Root, also root of a user namespace that has a mount namespace of its own, mounts by itself; others by ``fusermount3``.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import os
import shutil
import socket
import subprocess

from picloud.wire.error import SetupError

DEVICE = "/dev/fuse"
_NOSUID, _NODEV, _RDONLY, _DETACH = 2, 4, 1, 2
PACKAGE = "install Debian's package fuse3 (apt-get install fuse3), or ask the operator of this machine to"


def mount(folder: str, *, read_only: bool = False, allow_other: bool = False) -> int:
    """Mount at a folder, in the place of a mount whose daemon died; the descriptor on which the kernel asks.

    Raises:
        SetupError: this machine has no FUSE, or the folder cannot be mounted on.
    """
    if not os.path.exists(DEVICE):
        hint = "load the module: modprobe fuse; in a container, start it with --device /dev/fuse"
        raise SetupError(f"{DEVICE} is not there: this kernel has no FUSE", hint=hint)
    if _is_dead(folder):
        detach(folder)
    if os.geteuid() == 0:
        try:
            return _mount_directly(folder, read_only, allow_other)
        except PermissionError as error:
            if not _helper():
                hint = "in a container, give it CAP_SYS_ADMIN"
                raise SetupError(f"cannot mount at {folder}: {error.strerror}", hint=hint) from error
    return _mount_by_helper(folder, read_only, allow_other)


def _is_dead(folder: str) -> bool:
    try:
        os.stat(folder)
    except OSError as error:
        return error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    return False


def _mount_directly(folder: str, read_only: bool, allow_other: bool) -> int:
    device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    data = f"fd={device},rootmode=40000,user_id={os.geteuid()},group_id={os.getegid()}"
    data += ",allow_other" if allow_other else ""
    flags = _NOSUID | _NODEV | (_RDONLY if read_only else 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"picloud", os.fsencode(folder), b"fuse.picloud", flags, data.encode()):
        number = ctypes.get_errno()
        os.close(device)
        if isinstance(error := OSError(number, os.strerror(number), folder), PermissionError):
            raise error
        raise SetupError(f"cannot mount at {folder}: {error.strerror}", hint="give an empty folder of your own")
    return device


def _helper() -> str:
    return shutil.which("fusermount3") or shutil.which("fusermount") or ""


def _mount_by_helper(folder: str, read_only: bool, allow_other: bool) -> int:
    helper = _helper()
    if not helper:
        raise SetupError("fusermount3 is not installed, by which users mount", hint=PACKAGE)
    options = ["nosuid", "nodev", "fsname=picloud", "subtype=picloud"]
    options += ["ro"] * read_only + ["allow_other"] * allow_other
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run(
            [helper, "-o", ",".join(options), "--", folder],
            env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
            capture_output=True,
            text=True,
            check=False,
        )
        theirs.close()
        if done.returncode:
            raise SetupError(f"cannot mount at {folder}: {done.stderr.strip()}", hint="give an empty folder of your own")
        _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
    found = array.array("i")
    found.frombytes(ancillary[0][2][:4])
    os.set_inheritable(found[0], False)
    return found[0]


def unmount(folder: str, *, lazy: bool = False) -> None:
    """Take a mount away.

    Args:
        lazy: also where programs still have files of it open: they keep them until the daemon ends.

    Raises:
        SetupError: it is in use, or is none.
    """
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if not libc.umount2(os.fsencode(folder), _DETACH if lazy else 0):
            return
        reason = os.strerror(ctypes.get_errno())
    else:
        helper = _helper()
        if not helper:
            raise SetupError("fusermount3 is not installed, by which users unmount", hint=PACKAGE)
        done = subprocess.run([helper, "-u", *["-z"] * lazy, "--", folder], capture_output=True, text=True, check=False)
        if not done.returncode:
            return
        reason = done.stderr.strip()
    raise SetupError(f"cannot unmount {folder}: {reason}", hint="end the programs that work in it, and leave it with cd")


def detach(folder: str) -> None:
    """Take away what a daemon that died has left at a folder, if it did."""
    with contextlib.suppress(SetupError):
        unmount(folder, lazy=True)


def is_mounted(folder: str) -> bool:
    """Whether one of our mounts, alive or dead, lies at a folder."""
    target = os.path.realpath(os.path.dirname(folder)) + "/" + os.path.basename(folder)
    with open("/proc/self/mounts", encoding="utf8", errors="surrogateescape") as table:
        for line in table:
            source, place, kind = line.split(" ")[:3]
            place = place.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
            if place == os.path.normpath(target) and kind.startswith("fuse"):
                return source == "picloud" or kind == "fuse.picloud"
    return False
