"""Ends what sandboxes leave behind where whoever held them was killed: processes, control groups, folders.

Mounts and namespaces end with the last process in them. A process in a sandbox has nothing in its environment that it could
not change; but its mount table, which it cannot change, shows folders of its worker.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from picloud.sandbox import cgroup, tree, userns
from picloud.sandbox.maker import group_prefix

ROUNDS = 20  # what is being killed may be forking


def sandboxed(work: Path) -> Iterator[tuple[int, str]]:
    """The living processes in sandboxes: pid, and the worker by whose folder they are known.

    Args:
        work: folder of the workers' folders, each named by its incarnation.
    """
    device, place = _where(work)
    own, known = _space("self"), dict[str, str]()
    for entry in os.listdir("/proc"):
        space = _space(entry) if entry.isdigit() else ""
        if not space or space == own:
            continue
        if space not in known:
            known[space] = _worker(entry, device, f"{place.rstrip('/')}/")
        if known[space]:
            yield int(entry), known[space]


def kill(work: Path, whose: Callable[[str], bool] = lambda worker: True) -> int:
    """Kill the processes in sandboxes of workers for which ``whose`` holds, and wait for their end; how many there were."""
    killed = set[int]()
    for _ in range(ROUNDS):
        handles = []
        for pid, worker in sandboxed(work):
            if whose(worker):
                with contextlib.suppress(OSError):
                    handles.append(os.pidfd_open(pid))
                    signal.pidfd_send_signal(handles[-1], signal.SIGKILL)
                    killed.add(pid)
        for handle in handles:
            select.select([handle], [], [], 1.0)
            os.close(handle)
        if not handles:
            break
    return len(killed)


def groups(instance: str, whose: Callable[[str], bool]) -> list[str]:
    """Kill and remove control groups of an installation.

    Args:
        instance: the installation.
        whose: asked with what the names of a worker's groups begin with; whether they go.

    Returns:
        the names of the removed.
    """
    root = _root(instance)
    return root.sweep(lambda name: not whose(f"{name.partition('-')[0]}-")) if root is not None else []


def groups_of(instance: str, worker: str) -> list[str]:
    """As :func:`groups`, those of one worker."""
    return groups(instance, group_prefix(worker).__eq__)


def all_groups(instance: str) -> None:
    """Remove every control group of an installation that has no process, and its folder in each tree."""
    root = _root(instance)
    if root is not None:
        root.sweep((), probes=True)
        root.remove()


def remove(folder: Path) -> bool:
    """Remove a folder, whoever of our ids owns what lies in it, and whatever rights were taken from it; whether it is gone.

    Never follows a link.
    """
    if not tree.remove(str(folder)):
        with contextlib.suppress(OSError):
            userns.remove_tree(folder, userns.ids_for())
    return not os.path.lexists(folder)


@functools.cache
def _root(instance: str) -> cgroup.Root | None:
    return cgroup.find(instance)


def _space(pid: str) -> str:
    """The mount namespace of a process; "" for one that is not ours to look at, or a zombie."""
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""


def _where(folder: Path) -> tuple[str, str]:
    """A folder as mount tables name it: its device, and the end of its path in that file system."""
    path, number = os.path.realpath(folder), os.stat(folder).st_dev
    best, found = -1, (f"{os.major(number)}:{os.minor(number)}", path)  # in a chroot no table of ours shows the root
    for device, root, point in _mounts("self"):
        rest = os.path.relpath(path, point)
        if not rest.startswith("..") and len(point) >= best:
            best, found = len(point), (device, os.path.normpath(f"{root.rstrip('/')}/{rest}"))
    return found


def _worker(pid: str, device: str, place: str) -> str:
    """The name below ``place`` that the mount table of a process shows."""
    with contextlib.suppress(OSError):
        for there, root, _ in _mounts(pid):
            if there == device and place in root:
                return root.partition(place)[2].split("/")[0]
    return ""


def _mounts(pid: str) -> Iterator[tuple[str, str, str]]:
    """Device, path in its file system and mount point of each mount."""
    for line in Path(f"/proc/{pid}/mountinfo").read_text(errors="surrogateescape").splitlines():
        fields = line.split(" ", 5)
        yield fields[2], _plain(fields[3]), _plain(fields[4])


def _plain(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
