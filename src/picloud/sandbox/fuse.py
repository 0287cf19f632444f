"""A folder of a living sandbox whose content a process outside gives, by FUSE. Standard library only: the holder does it.

The kernel wants the device opened and the mount made by the same user namespace, the sandbox's; the sandbox itself may do
neither. So a child of the holder goes in, mounts, and hands the device out. A mount that died is covered by the new one, and
stays beneath it until the sandbox ends: were it taken away first, a program could for a moment write into the folder below
both, where nobody would ever look.
"""

from __future__ import annotations

import os

from picloud.sandbox import system

DEVICE = "/dev/fuse"


def attach(pid: int, place: str, over: bool) -> int:
    """Mount at a place inside; the device on which the kernel asks. This process, root of the user namespace already, goes in.

    Args:
        pid: a process of the sandbox, as this process numbers it.
        place: an absolute path inside. Folders that are not there are made, and belong to root: no job takes them away.
        over: a mount lies there that nobody serves any more: it is asked nothing, since it would not answer.

    Raises:
        OSError: there is no FUSE here, or the sandbox has ended.
    """
    inside = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    system.setns(inside, system.CLONE_NEWNS)
    if not over:
        os.makedirs(place, 0o755, exist_ok=True)
    flags = system.MS_NOSUID | system.MS_NODEV
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    system.mount("picloud", place, "fuse.picloud", flags, options)
    return device
