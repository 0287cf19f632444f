"""Where control groups can be made on this machine: v1 or v2, decided for each controller by where it is mounted.

On v1 each controller has a tree of its own, and groups are made at its top by root. On v2 one tree has all; root makes groups
at its top, anyone else below the group that the process is in, where systemd has delegated it
(``systemd-run --user --scope -p Delegate=yes``). A group of v2 that passes controllers on may hold no processes itself, so
those that sit there move to a child, ``picloud-host``, which has no limits.
"""

from __future__ import annotations

import errno
import os
import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

CONTROLLERS = ("memory", "cpu", "cpuacct", "pids")
"""What is used. On v2 ``cpuacct`` is part of every group. No freezer: a group whose ``pids.max`` is 0 can be killed without."""

HOST = "picloud-host"
"""Child of a delegated group for the processes that sat in the group."""

_SCOPE = "systemd-run --user --scope -p Delegate=yes picloud up"
_V2 = {"memory", "cpu", "pids"}


class Place(NamedTuple):
    """Where groups of a controller are made."""

    version: int
    folder: Path


class Lack(NamedTuple):
    """A controller that cannot be used."""

    controller: str
    why: str
    remedy: str


def places(mounts: Path, own: Path) -> tuple[dict[str, Place], list[Lack]]:
    """Find each controller.

    Args:
        mounts: the process's mount table, /proc/self/mountinfo.
        own: the groups it is in, /proc/self/cgroup.

    Returns:
        where each controller's groups may be made (still to be proved by making one), and what has none.
    """
    found: dict[str, Place] = {}
    unified: list[tuple[Path, str]] = []
    for line in mounts.read_text().splitlines():
        fields, _, source = line.partition(" - ")
        kind, _, options = source.split(" ", 2)
        root, point = (_plain(field) for field in fields.split(" ")[3:5])
        if kind == "cgroup":
            for name in set(options.rsplit(" ", 1)[-1].split(",")) & set(CONTROLLERS):
                found.setdefault(name, Place(1, Path(point)))
        elif kind == "cgroup2":
            unified.append((Path(point), root))
    lacks: list[Lack] = []
    if unified and (wanted := _V2 - set(found)):
        base, lacks = _delegated(*unified[0], _mine(own), wanted)
        taken = wanted - {lack.controller for lack in lacks}
        found |= {name: Place(2, base) for name in taken}
        if taken and "cpuacct" not in found:
            found["cpuacct"] = Place(2, base)
    told = {lack.controller for lack in lacks}
    missing = [name for name in CONTROLLERS if name not in found and name not in told]
    return found, lacks + [_unmounted(name) for name in missing]


def explain(controller: str, place: Place, error: OSError) -> Lack:
    """Why groups of a controller cannot be made, and what helps."""
    why = f"{error.strerror or error}: {error.filename or place.folder}"
    if error.errno == errno.EROFS:
        return Lack(controller, why, "in a container: mount /sys/fs/cgroup writable (docker run --privileged)")
    if error.errno in (errno.EACCES, errno.EPERM):
        if place.version == 1:
            return Lack(controller, why, "run picloud as root")
        return Lack(controller, why, f"run as root, or: {_SCOPE}")
    if error.errno in (errno.EBUSY, errno.EOPNOTSUPP):  # the latter in a threaded tree
        return Lack(controller, why, f"other processes sit in that group: {_SCOPE}")
    return Lack(controller, why, "see the kernel log (dmesg)")


def switch_on(folder: Path, controllers: set[str]) -> None:
    """Pass controllers of v2 on to the children of a group.

    All at once, and processes move out first: with processes inside, the kernel passes cpu and pids on none the less, by making
    the group the root of a threaded tree, whose children may neither limit memory nor take processes (EOPNOTSUPP).

    Raises:
        OSError: this process may not, or the group has processes that it may not move.
    """
    control = folder / "cgroup.subtree_control"
    wanted = sorted(controllers - set(control.read_text().split()))
    if wanted:
        if (folder / "cgroup.type").exists():  # not so at the machine's own root, where processes may stay
            _clear(folder)
        control.write_text(" ".join(f"+{name}" for name in wanted))


def _delegated(point: Path, root: str, own: str, wanted: set[str]) -> tuple[Path, list[Lack]]:
    """The group of v2 below which ours are made, and the controllers that it lacks."""
    bases = [point] if os.geteuid() == 0 else []
    inside = os.path.relpath(own, root) if own else ".."
    if not inside.startswith(".."):
        mine = point / inside
        bases.append(mine.parent if mine.name == HOST else mine)
    failed: list[Lack] = []
    for base in bases:
        try:
            there = wanted & set((base / "cgroup.controllers").read_text().split())
            if there and not os.access(base, os.W_OK):
                why = errno.EROFS if os.statvfs(base).f_flag & os.ST_RDONLY else errno.EACCES
                raise OSError(why, os.strerror(why), str(base))
            switch_on(base, there)
        except OSError as error:
            failed = failed or [explain(name, Place(2, base), error) for name in sorted(wanted)]
            continue
        lack = partial(_withheld, base=base) if base != point or root != "/" else _unmounted
        return base, [lack(name) for name in sorted(wanted - there)]
    return point, failed or [_withheld(name, point) for name in sorted(wanted)]


def _clear(folder: Path) -> None:
    """Move the processes that sit in a group of v2 to its child for them."""
    child = folder / HOST
    for _ in range(10):  # each may start another meanwhile
        members = (folder / "cgroup.procs").read_text().split()
        if not members:
            return
        child.mkdir(exist_ok=True)
        for pid in members:
            try:
                (child / "cgroup.procs").write_text(pid)
            except ProcessLookupError:
                continue


def _mine(own: Path) -> str:
    """The process's group of v2 as its file says, "" if it is in none that it can see."""
    for line in own.read_text().splitlines():
        if line.startswith("0::/") and not line.startswith("0::/.."):
            return line[3:]
    return ""


def _plain(field: str) -> str:
    """A field of mountinfo without its octal escapes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def _unmounted(name: str) -> Lack:
    boot = " (a kernel with memory switched off: boot with cgroup_enable=memory)" if name == "memory" else ""
    return Lack(name, f"no {name} controller is mounted", f"mount -t cgroup2 none /sys/fs/cgroup{boot}")


def _withheld(name: str, base: Path) -> Lack:
    remedy = "systemctl edit user@.service: [Service] Delegate=cpu memory pids, then log in again"
    manager = next((folder for folder in base.parents if folder.name.startswith("user@")), None)
    if manager and name in (manager / "cgroup.controllers").read_text().split():
        remedy = _SCOPE
    return Lack(name, f"{base} does not pass the {name} controller on", remedy)
