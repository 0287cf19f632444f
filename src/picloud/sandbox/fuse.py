"""A folder of a living sandbox whose content a process outside gives, by FUSE. Standard library only: the holder does it.

The kernel wants the device opened and the mount made by the same user namespace, the sandbox's; the sandbox itself may do
neither. So a child of the holder goes in, mounts, and hands the device out. A mount that died is covered by the new one, and
stays beneath it until the sandbox ends: were it taken away first, a program could for a moment write into the folder below
both, where nobody would ever look.
"""

from __future__ import annotations

import errno
import os

from picloud.sandbox import system

DEVICE = "/dev/fuse"


def attach(pid: int, place: str, fixed: bool) -> int:
    """Mount at a place inside; the device on which the kernel asks. This process, root of the user namespace already, goes in.

    Args:
        pid: a process of the sandbox, as this process numbers it.
        place: an absolute path inside. Folders that are not there are made, and belong to root: no job takes them away.
        fixed: read-only.

    Raises:
        OSError: there is no FUSE here, or the sandbox has ended.
    """
    inside = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    system.setns(inside, system.CLONE_NEWNS)
    if not _dead(place):
        os.makedirs(place, 0o755, exist_ok=True)
    flags = system.MS_NOSUID | system.MS_NODEV | (system.MS_RDONLY if fixed else 0)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    system.mount("picloud", place, "fuse.picloud", flags, options)
    return device


def _dead(place: str) -> bool:
    """Whether a mount lies there whose server has died."""
    try:
        os.stat(place)
    except OSError as error:
        return error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    return False
