"""Which file system a folder lies on, and whether an installation's state may live there."""

from __future__ import annotations

import os
from pathlib import Path

# fmt: off
NETWORK = frozenset(("nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "ceph", "lustre", "gpfs", "beegfs",
                     "orangefs", "pvfs2", "glusterfs", "ocfs2", "gfs2", "9p", "panfs", "davfs"))
"""Locks, shared memory maps and fsync are not what SQLite needs them to be."""

OVERLAY = frozenset(("overlay", "overlayfs", "aufs", "unionfs", "fuse.fuse-overlayfs", "fuse.unionfs-fuse", "fuse.mergerfs"))
"""Gone with its container, and the jobs' own overlays cannot lie on it."""
# fmt: on

MEMORY = frozenset(("tmpfs", "ramfs"))
"""Gone with the machine's power."""


def file_system(path: Path, table: str | None = None) -> str:
    """The type of the file system that holds ``path`` (or its nearest existing parent), such as ``ext4``.

    Args:
        path: any path.
        table: what ``/proc/self/mountinfo`` says; read when not given.
    """
    lines = (table if table is not None else Path("/proc/self/mountinfo").read_text()).splitlines()
    real = os.path.realpath(path)
    best, kind = "", "unknown"
    for line in lines:
        left, _, right = line.partition(" - ")
        point = _unescape(left.split()[4])
        # Later lines hide earlier ones of the same mount point.
        if len(point) >= len(best) and (real == point or real.startswith(point.rstrip("/") + "/")):
            best, kind = point, right.split()[0]
    return kind


def is_network(kind: str) -> bool:
    """Whether a type is a network file system. One in user space (sshfs, s3fs, rclone, ..) counts as such."""
    return kind in NETWORK or (kind.startswith("fuse.") and kind not in OVERLAY)


def _unescape(text: str) -> str:
    """mountinfo writes blanks and backslashes of a path as octal."""
    for code, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, plain)
    return text
