"""What the kernel counts for a control group: memory, CPU time, refused processes; v1 and v2, from descriptors that stay open.

*Memory* is what cannot be given back under pressure: anonymous pages and shared memory, on v2 also what the kernel holds for the
group's processes (stacks, page tables, sockets, slabs that cannot shrink). Pages of files and slabs that shrink are *cache*.
v1 does not tell the kernel's parts apart, so they are left out there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

_SIZE = 1 << 13  # memory.stat is about 2 KiB


class Memory(NamedTuple):
    """The memory of a group, bytes and counts; None: this kernel cannot tell."""

    memory: int
    cache: int
    swap: int | None
    limit_hits: int
    refused: int
    kernel_kills: int


class Descriptors:
    """Files of one group's folder, opened once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[int] = []

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """Open a file of the group; -1 if this kernel has none of that name, or does not let it be opened so."""
        try:
            fd = os.open(self.folder / name, flags | os.O_CLOEXEC)
        except OSError:
            return -1
        self._open.append(fd)
        return fd

    def close(self) -> None:
        """Close them all."""
        while self._open:
            os.close(self._open.pop())


def number(fd: int) -> int:
    """The number in a file of one number; 0 without a file, and for "max"."""
    if fd < 0:
        return 0
    text = os.pread(fd, 64, 0).strip()
    return int(text) if text.isdigit() else 0


def _fields(*names: str) -> re.Pattern[bytes]:
    return re.compile(rb"^(" + "|".join(names).encode() + rb") (\d+)", re.MULTILINE)


def _named(fd: int, pattern: re.Pattern[bytes]) -> dict[bytes, int]:
    """Some of the lines ``name number`` of a file; empty without a file."""
    return {name: int(value) for name, value in pattern.findall(os.pread(fd, _SIZE, 0))} if fd >= 0 else {}


class MemoryV1:
    """Memory of a group of v1. Refusals are not counted there: the kernel's kills are the lower bound that is given."""

    _STAT = _fields("total_cache", "total_rss", "total_shmem", "total_swap")
    _OOM = _fields("oom_kill")

    def __init__(self, files: Descriptors) -> None:
        self._stat, self._oom = files.open("memory.stat"), files.open("memory.oom_control")
        self._hits = files.open("memory.failcnt")

    def read(self) -> Memory:
        """The figures of now."""
        stat = _named(self._stat, self._STAT)
        shared = stat.get(b"total_shmem", 0)
        kills = _named(self._oom, self._OOM).get(b"oom_kill", 0)
        memory, cache = stat.get(b"total_rss", 0) + shared, stat.get(b"total_cache", 0) - shared
        return Memory(memory, max(0, cache), stat.get(b"total_swap"), number(self._hits), kills, kills)


class MemoryV2:
    """Memory of a group of v2."""

    _KERNEL = ("kernel_stack", "pagetables", "sec_pagetables", "percpu", "sock", "slab_unreclaimable")
    _STAT = _fields("anon", "shmem", "file", "slab_reclaimable", *_KERNEL)
    _EVENTS = _fields("max", "oom", "oom_kill")

    def __init__(self, files: Descriptors) -> None:
        self._stat, self._events = files.open("memory.stat"), files.open("memory.events")
        self._swap = files.open("memory.swap.current")

    def read(self) -> Memory:
        """The figures of now."""
        stat, events = _named(self._stat, self._STAT), _named(self._events, self._EVENTS)
        shared, shrinks = stat.pop(b"shmem", 0), stat.pop(b"slab_reclaimable", 0)
        cache = stat.pop(b"file", 0) - shared + shrinks
        swap = number(self._swap) if self._swap >= 0 else None
        counts = (events.get(name, 0) for name in (b"max", b"oom", b"oom_kill"))
        return Memory(sum(stat.values()) + shared, max(0, cache), swap, *counts)


class CpuV1:
    """CPU time of a group of v1: the total is exact, its halves are shared out by clock ticks, as the kernel itself does."""

    def __init__(self, files: Descriptors) -> None:
        self._total = files.open("cpuacct.usage")
        self._user, self._system = files.open("cpuacct.usage_user"), files.open("cpuacct.usage_sys")
        self._last = (0, 0)

    def read(self) -> tuple[int, int]:
        """Microseconds in user and in system mode; neither ever falls."""
        total, user, system = (number(fd) for fd in (self._total, self._user, self._system))
        spent, (last_user, last_system) = total // 1000, self._last
        share = spent * system // (user + system) if user + system else 0
        share = min(max(share, last_system), max(spent - last_user, last_system))
        self._last = (max(spent - share, last_user), share)
        return self._last


class CpuV2:
    """CPU time of a group of v2."""

    _STAT = _fields("user_usec", "system_usec")

    def __init__(self, files: Descriptors) -> None:
        self._stat = files.open("cpu.stat")

    def read(self) -> tuple[int, int]:
        """Microseconds in user and in system mode."""
        stat = _named(self._stat, self._STAT)
        return stat.get(b"user_usec", 0), stat.get(b"system_usec", 0)


class Pids:
    """Processes and threads of a group; v1 and v2 count alike."""

    _EVENTS = _fields("max")

    def __init__(self, files: Descriptors) -> None:
        self._events = files.open("pids.events")

    def refused(self) -> int | None:
        """How many more were wanted than the limit allows; None: this kernel does not count them."""
        return _named(self._events, self._EVENTS).get(b"max", 0) if self._events >= 0 else None
