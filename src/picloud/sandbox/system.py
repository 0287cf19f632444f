"""The kernel's calls for namespaces and mounts that Python 3.11 does not have. Standard library only: the holder loads it."""

from __future__ import annotations

import ctypes
import os
import socket
import struct

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 32, 4096, 16384
MS_SLAVE, MS_PRIVATE = 1 << 19, 1 << 18
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER = 1, 4, 24, 36
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on every architecture
_OPEN_TREE_CLONE, _CLOEXEC, _RECURSIVE, _EMPTY_PATH, _MOVE_EMPTY = 1, 0x80000, 0x8000, 0x1000, 4
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV, _ATTR_IDMAP = 1, 2, 4, 0x100000

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Leave the named namespaces for new ones."""
    _check(_libc.unshare(flags), "unshare")


def setns(handle: int, kind: int) -> None:
    """Enter the namespace behind a descriptor."""
    _check(_libc.setns(handle, kind), "setns")


def prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, value, 0, 0, 0), "prctl")


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    done = _libc.mount(os.fsencode(source), os.fsencode(target), kind.encode() or None, flags, os.fsencode(options) or None)
    _check(done, f"mount {kind or 'bind'} {source} on {target}")


def bind(source: str, target: str, *, fixed: bool) -> None:
    """Show a folder or file at another place, with what is mounted below it. ``fixed``: read-only."""
    mount(source, target, "", MS_BIND | MS_REC)
    _restrict(target, _ATTR_NOSUID | _ATTR_NODEV | (_ATTR_RDONLY if fixed else 0))


def _restrict(target: str, attributes: int) -> None:
    data = struct.pack("QQQQ", attributes, 0, 0, 0)
    _check(_libc.syscall(_MOUNT_SETATTR, -100, os.fsencode(target), _RECURSIVE, data, len(data)), f"mount_setattr {target}")


def bind_mapped(source: str, target: str, users: int) -> None:
    """Show a folder of the host with its owners mapped into a user namespace, read-only for good.

    What lies on a file system that cannot map owners is shown with nobody's.

    Args:
        source: folder or file of the host.
        target: an existing folder or file.
        users: descriptor of the user namespace.
    """
    for depth in (_RECURSIVE, 0):
        try:
            _move_mapped(source, target, users, depth)
            return
        except OSError:
            continue
    bind(source, target, fixed=True)


def _move_mapped(source: str, target: str, users: int, depth: int) -> None:
    tree = _check(_libc.syscall(_OPEN_TREE, -100, os.fsencode(source), _OPEN_TREE_CLONE | _CLOEXEC | depth), "open_tree")
    try:
        attributes = struct.pack("QQQQ", _ATTR_IDMAP | _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV, 0, 0, users)
        _check(_libc.syscall(_MOUNT_SETATTR, tree, b"", _EMPTY_PATH | depth, attributes, len(attributes)), "mount_setattr")
        _check(_libc.syscall(_MOVE_MOUNT, tree, b"", -100, os.fsencode(target), _MOVE_EMPTY), "move_mount")
    finally:
        os.close(tree)


def receive(line: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """A message of a sequenced socket with its descriptors, which no program that is started here inherits.

    (``socket.recv_fds`` of Python 3.11 takes the flag for that and forgets it.)
    """
    data, handles, _, _ = socket.recv_fds(line, size, most)
    for one in handles:
        os.set_inheritable(one, False)
    return data, list(handles)
