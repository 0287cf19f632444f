"""Limits of a control group, as v1 and v2 write them."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

from picloud.sandbox.base import Limits
from picloud.sandbox.hierarchy import Place

_SHARES, _WEIGHTS = (2, 262_144), (1, 10_000)  # what v1's cpu.shares and v2's cpu.weight take
_SPARE = (
    1 << 22
)  # bytes of swap allowed on v1, more than is asked for at once: so the limit on memory alone is hit first and counts
_MOST, _STEP = 5500, 1.25  # compute units (thousandths) of niceness 0, and what a step less takes away
_WEIGHT = 10  # compute units (thousandths) of one point of v2's weight: 1000 become its default, 100


def memory(place: Place, size: int) -> None:
    """Limit memory to ``size`` bytes, 0 = no limit; swap is no way out.

    Raises:
        OSError: more is in use and cannot be given back, or the kernel refuses.
    """
    (_memory_v1 if place.version == 1 else _memory_v2)(place.folder, size)


def cpu(place: Place, units: int) -> None:
    """Weigh CPU time in proportion to compute units (thousandths), against the group's siblings."""
    if place.version == 1:
        write(place.folder / "cpu.shares", _within(units, _SHARES))
    else:
        write(place.folder / "cpu.weight", _within(round(units / _WEIGHT), _WEIGHTS))


def pids(place: Place, count: int) -> None:
    """Limit processes and threads, 0 = no limit."""
    write(place.folder / "pids.max", count or "max")


def niceness(limits: Limits) -> int:
    """What stands in for a share of CPU time without a controller: each step is a quarter less; the largest core has none."""
    per_core = max(1, limits.units // limits.cores)
    return max(0, min(19, round(math.log(_MOST / per_core) / math.log(_STEP))))


def write(path: Path, value: int | str) -> None:
    """Write into a file of a group; it is never created: a file that is not there is a feature that is not."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(value).encode())
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        os.close(fd)


def _memory_v1(folder: Path, size: int) -> None:
    value = size or -1
    both = folder / "memory.memsw.limit_in_bytes"  # memory and swap together: never less than memory alone
    if both.exists():
        write(both, -1)
        write(folder / "memory.limit_in_bytes", value)
        write(both, size + _SPARE if size else -1)
    else:
        write(folder / "memory.limit_in_bytes", value)
        with contextlib.suppress(OSError):
            write(folder / "memory.swappiness", 0)


def _memory_v2(folder: Path, size: int) -> None:
    write(folder / "memory.max", size or "max")
    with contextlib.suppress(FileNotFoundError):  # a kernel without swap has no such file
        write(folder / "memory.swap.max", 0 if size else "max")
    with contextlib.suppress(FileNotFoundError):
        write(folder / "memory.oom.group", 0)  # the hungriest process dies, not the sandbox


def _within(value: int, bounds: tuple[int, int]) -> int:
    return min(max(value, bounds[0]), bounds[1])
