"""One control group: the processes of a sandbox, their limits, their figures, and their end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from picloud.sandbox import ration
from picloud.sandbox.base import Gauge, Limits
from picloud.sandbox.figures import CpuV1, CpuV2, Descriptors, MemoryV1, MemoryV2, Pids
from picloud.sandbox.hierarchy import Place

_ROUND = 256  # processes that are killed at a time: each takes a descriptor


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
        pids = self.places.get("pids")
        self._pids = Pids(self._files[pids]) if pids else None
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
            if self._closed:
                return self._last
            try:
                user, system = self._cpu.read() if self._cpu else (0, 0)
                found = self._memory.read()._asdict() if self._memory else {}
                forks = self._pids.refused() if self._pids else None
            except OSError:  # ENODEV: somebody else removed the group
                return self._last
            self._last = Gauge(user, system, forks_refused=forks, **found)
            return self._last

    def oom(self) -> int:
        """How many processes the kernel has killed here for lack of memory."""
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
        self.gauge()
        deadline, pause = time.monotonic() + seconds, 0.001
        while not rmdir(self._folders):
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)  # a process on its way out is no member any more; nothing tells when it is through
            pause = min(pause * 2, 0.05)
        self.close()
        return True

    def close(self) -> None:
        """Let go of the group's files; the group stays."""
        with self._lock:
            self._memory, self._cpu, self._pids, self._closed = None, None, None, True
            for files in self._files.values():
                files.close()

    def _strike(self) -> list[int]:
        """Send SIGKILL to members, never to a stranger that has got the number of one; pidfds of those struck."""
        fds = {}
        for pid in self.members()[:_ROUND]:
            with contextlib.suppress(ProcessLookupError):
                fds[pid] = os.pidfd_open(pid)
        here = set(self.members())  # opened before this look: the descriptor is of the process that is seen now
        for pid in fds.keys() - here:
            os.close(fds.pop(pid))
        for fd in fds.values():
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        return list(fds.values())


def rmdir(folders: list[Path]) -> bool:
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
