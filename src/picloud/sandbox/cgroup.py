"""Control groups of sandboxes: limits, figures, and an end for everything inside. v1 and v2 behind one face.

All groups of an installation are siblings, ``picloud-<instance>/<name>`` in each tree: shares of CPU time are only compared among
siblings. Figures are read from descriptors that stay open, some 30 microseconds for all of them.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from picloud.sandbox import hierarchy, ration
from picloud.sandbox.base import Gauge, Limits
from picloud.sandbox.figures import Bell, CpuV1, CpuV2, Descriptors, MemoryV1, MemoryV2
from picloud.sandbox.hierarchy import Lack, Place
from picloud.wire.error import SetupError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PROBE = Limits(memory=1 << 26, units=1000, pids=16)


class Peak(NamedTuple):
    """The most memory that was used at once, in bytes."""

    memory: int  # without the page cache: what gauges saw, or the kernel's peak less the most cache seen, if that is more
    total: int | None  # the kernel's own figure, page cache and all; None: it cannot tell since the last reset


class Found(NamedTuple):
    """What :func:`probe` found."""

    root: Root | None
    lacks: list[Lack]


class Root:
    """The groups of one installation.

    Attributes:
        places: where each controller that works has its groups.
        lacks: the controllers that do not work, why, and what helps.
    """

    def __init__(self, instance: str, places: Mapping[str, Place], lacks: list[Lack] | None = None) -> None:
        if not _NAME.fullmatch(instance):
            raise ValueError(f"not a name for control groups: {instance!r}")
        self.places, self.lacks = dict(places), lacks or []
        self._inner = f"picloud-{instance}"

    def create(self, name: str, limits: Limits) -> Cgroup:
        """Make a group with its limits.

        Raises:
            ValueError: ``name`` is not 1 to 63 letters, digits, dots, underscores and hyphens.
            SetupError: the kernel refuses, or there is such a group.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name for a control group: {name!r}")
        made: list[Path] = []
        try:
            for folder in self._folders():
                self._prepare(folder)
                (folder / name).mkdir()
                made.append(folder / name)
            group = Cgroup(name, self._at(name))
            group.limit(limits)
        except OSError as error:
            for folder in made:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            hint = "picloud doctor"
            raise SetupError(f"no control group for a sandbox: {error}", hint=hint, errno=error.errno) from error
        return group

    def sweep(self, keep: set[str]) -> list[str]:
        """Kill and remove the groups that former processes left behind, but for some; returns the names of the removed."""
        found: set[str] = set()
        for folder in self._folders():
            with contextlib.suppress(FileNotFoundError):
                found |= {entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)}
        gone = []
        for name in sorted(found - keep):
            group = Cgroup(name, self._at(name))
            group.kill()
            if group.remove():
                gone.append(name)
        return gone

    def remove(self) -> bool:
        """Remove the folders of the installation; False while there are groups in them."""
        return _rmdir(self._folders())

    def _at(self, name: str) -> dict[str, Place]:
        return {kind: Place(place.version, place.folder / self._inner / name) for kind, place in self.places.items()}

    def _folders(self) -> list[Path]:
        """The installation's folder in each tree."""
        return [folder / self._inner for folder in dict.fromkeys(place.folder for place in self.places.values())]

    def _prepare(self, folder: Path) -> None:
        """Make the installation's folder in a tree, ready for groups."""
        folder.mkdir(exist_ok=True)
        here = {kind for kind, place in self.places.items() if place.folder == folder.parent}
        if any(self.places[kind].version == 2 for kind in here):
            hierarchy.switch_on(folder, here - {"cpuacct"})
        elif "memory" in here:
            with contextlib.suppress(OSError):  # newer kernels always do, and refuse the question once there are children
                (folder / "memory.use_hierarchy").write_text("1")


class Cgroup:
    """One group: the processes of a sandbox. Calls may come from any thread.

    Attributes:
        name: its own among the installation's.
        places: version and folder by controller.
    """

    def __init__(self, name: str, places: Mapping[str, Place]) -> None:
        self.name, self.places = name, dict(places)
        self._files = {place: Descriptors(place.folder) for place in self.places.values()}
        self._folders = list(dict.fromkeys(place.folder for place in self.places.values()))
        memory, cpu = self.places.get("memory"), self.places.get("cpuacct")
        self._memory = (MemoryV1 if memory.version == 1 else MemoryV2)(self._files[memory]) if memory else None
        self._cpu = (CpuV1 if cpu.version == 1 else CpuV2)(self._files[cpu]) if cpu else None
        self._bell: Bell | None = None
        self._seen = (0, 0)  # most memory and most cache that gauges saw since the last reset
        self._last, self._closed = Gauge(), False
        self._lock = threading.Lock()

    def limit(self, limits: Limits) -> None:
        """Set the limits, also of a group in use.

        Raises:
            OSError: more memory is in use than ``limits`` allows and cannot be given back, or the kernel refuses.
        """
        if place := self.places.get("memory"):
            ration.memory(place, limits.memory)
        if place := self.places.get("cpu"):
            ration.cpu(place, limits.units)
        if place := self.places.get("pids"):
            ration.pids(place, limits.pids)

    def entrances(self) -> list[int]:
        """New descriptors, for the caller to close: a process that writes ``0`` into each has entered, whatever its rights."""
        opened: list[int] = []
        try:
            for folder in self._folders:
                opened.append(os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
        except OSError:
            for fd in opened:
                os.close(fd)
            raise
        return opened

    def add(self, pid: int) -> None:
        """Move a process in.

        Raises:
            OSError: it has ended, or may not be moved.
        """
        for folder in self._folders:
            ration.write(folder / "cgroup.procs", pid)

    def gauge(self) -> Gauge:
        """CPU time and memory so far; what needs other sources (disk, network) stays None. Zeros once it is removed."""
        with self._lock:
            try:
                spent = self._cpu.read() if self._cpu else (0, 0)
                found = self._memory.read() if self._memory else None
            except OSError:  # ENODEV: the group is gone
                return self._last
            if found:
                self._seen = max(self._seen[0], found.memory), max(self._seen[1], found.cache)
            if not self._closed:
                self._last = Gauge(*spent, *found) if found else Gauge(*spent)
            return self._last

    def peak(self) -> Peak:
        """The most memory since the group was made, or since :meth:`reset_peak`.

        Without the page cache it is an estimate: exact where memory grew and the cache did not shrink by itself (by deleting
        files); never less than any gauge showed, never more than the total.
        """
        now = self.gauge()
        with self._lock:
            try:
                total = self._memory.peak() if self._memory else None
            except OSError:
                total = None
            seen, cache = max(self._seen[0], now.memory), self._seen[1]
            return Peak(max(seen, (total or 0) - cache), total)

    def reset_peak(self) -> None:
        """Forget the peak; from now on it is that of what comes, and of what is still held."""
        with self._lock:
            self._seen = (0, 0)
            if self._memory:
                with contextlib.suppress(OSError):
                    self._memory.reset_peak()
        self.gauge()

    @property
    def oom_fd(self) -> int:
        """A descriptor that becomes readable when memory runs out in the group; -1 without a memory controller.

        The kernel may ring before the kill is counted, on v2 also when the limit is hit without a kill: answer with :meth:`oom`,
        and ask again when a process has died.

        Raises:
            OSError: the kernel has no such events.
        """
        with self._lock:
            if self._bell is None and (place := self.places.get("memory")):
                self._bell = Bell(place.folder, place.version)
            return self._bell.fd if self._bell else -1

    def oom(self) -> int:
        """Answer :attr:`oom_fd`; the number of processes that the kernel has killed here for lack of memory."""
        if self._bell:
            self._bell.answer()
        return self.gauge().kernel_kills or 0

    def members(self) -> list[int]:
        """The processes inside, those of pid namespaces that this process cannot see left out; sorted."""
        found: set[int] = set()
        for folder in self._folders:
            with contextlib.suppress(OSError):  # gone
                found |= {int(pid) for pid in (folder / "cgroup.procs").read_text().split()}
        return sorted(found - {0})

    def kill(self, seconds: float = 5) -> bool:
        """Kill everything inside and wait until it has ended.

        Returns:
            True when nothing is left, False if something outlives ``seconds`` (stuck in the kernel).
        """
        deadline = time.monotonic() + seconds
        if place := self.places.get("pids"):
            with contextlib.suppress(OSError):
                ration.write(place.folder / "pids.max", 0)  # no fork outruns us
        for place in set(self.places.values()):
            if place.version == 2:
                with contextlib.suppress(OSError):  # before Linux 5.14 there is no such file
                    ration.write(place.folder / "cgroup.kill", 1)
        while left := self._strike():
            if not _await(left, deadline):
                return False
        return True

    def remove(self, seconds: float = 5) -> bool:
        """Remove the group, from which all processes have ended or are about to; False if some are still there."""
        if self._bell:
            self._bell.close()
            self._bell = None
        self.gauge()
        deadline, pause = time.monotonic() + seconds, 0.001
        while not _rmdir(self._folders):
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)  # a process on its way out is no member any more; nothing tells when it is through
            pause = min(pause * 2, 0.05)
        self.close()
        return True

    def close(self) -> None:
        """Let go of the group's files; the group stays."""
        with self._lock:
            self._memory, self._cpu, self._closed = None, None, True
            for files in self._files.values():
                files.close()

    def _strike(self) -> list[int]:
        """Send SIGKILL to each member, none to a stranger that has got the number of one; pidfds of those struck."""
        fds = {}
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                fds[pid] = os.pidfd_open(pid)
        here = set(self.members())  # opened before this look: the descriptor is of the process that is seen now
        struck = []
        for pid, fd in fds.items():
            if pid not in here:
                os.close(fd)
                continue
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            struck.append(fd)
        return struck


def probe(instance: str, mounts: str | Path = "/proc/self/mountinfo", own: str | Path = "/proc/self/cgroup") -> Found:
    """Find out, by making a group with limits, which controllers this process may use. Takes a few milliseconds.

    Args:
        instance: the installation's name among those of this machine.
        mounts: this process's mount table.
        own: the groups that this process is in.

    Raises:
        ValueError: ``instance`` is not 1 to 63 letters, digits, dots, underscores and hyphens.
    """
    try:
        places, lacks = hierarchy.places(Path(mounts), Path(own))
    except OSError as error:
        places, lacks = {}, [Lack("memory", f"cannot read where controllers are mounted: {error}", "mount /proc")]
    works: dict[str, Place] = {}
    for kind, place in places.items():
        try:
            _try(Root(instance, {kind: place}))
            works[kind] = place
        except SetupError as error:
            cause = error.__cause__
            assert isinstance(cause, OSError)
            lacks.append(hierarchy.explain(kind, place, cause))
    return Found(Root(instance, works, lacks) if works else None, lacks)


def find(instance: str) -> Root | None:
    """The place for an installation's groups with the controllers that work; None if there are none. See :func:`probe`."""
    return probe(instance).root


def _try(root: Root) -> None:
    try:
        root.create(f"probe-{os.getpid()}", _PROBE).remove()
    finally:
        root.remove()


def _rmdir(folders: list[Path]) -> bool:
    """Remove each of some folders; True if all are gone."""
    left = 0
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            left += 1
    return not left


def _await(fds: list[int], deadline: float) -> bool:
    """Wait for processes to end, and close their descriptors; False if the time is over."""
    waiting = select.poll()
    for fd in fds:
        waiting.register(fd, select.POLLIN)
    left = set(fds)
    try:
        while left:
            ended = waiting.poll(max(0, deadline - time.monotonic()) * 1000)
            if not ended:
                return False
            for fd, _ in ended:
                waiting.unregister(fd)
                left.discard(fd)
        return True
    finally:
        for fd in fds:
            os.close(fd)
