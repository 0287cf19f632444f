"""What a process and all that it started use, read from /proc: the gauge of machines without cgroups.

Looking costs about 0.1 ms for a single process, so that a look each 2 seconds is nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from picloud.sandbox.base import Gauge

PAGE = os.sysconf("SC_PAGESIZE")
TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
DEEPEST = 2000  # processes of one family that are looked at
READ_ONCE = 16_384
LIBRARIES = 16 << 20  # bytes of shared pages below which nobody asks what they are


def memory(pid: int, files: int = 0) -> int:
    """Bytes of RAM that a process and its descendants hold, without files on disk that are only mapped; 0 = it has ended.

    Shared memory is mapped by several, and may be a file in memory: the largest of these figures is taken, a lower bound.

    Args:
        files: bytes in files in memory that only they can have written.
    """
    own, shared = 0, files
    for at in family(pid):
        private, others = _memory(at)
        own, shared = own + private, max(shared, others)
    return own + shared


def tasks(pid: int) -> int:
    """Processes and threads of a process and its descendants."""
    found = 0
    for at in family(pid):
        words = _read(f"/proc/{at}/stat").rpartition(b")")[2].split()
        found += int(words[17]) if len(words) > 17 else 0
    return found


def parent(pid: int) -> int:
    """Its parent's pid; 0 = it has ended."""
    words = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(words[1]) if len(words) > 1 else 0


def gauge(pid: int) -> Gauge | None:
    """What a process and its descendants use, and have used since it began; None = it has ended.

    What ended children used counts once their parents have waited for them. Figures that only a cgroup has (page cache,
    limit hits, refusals, kernel kills) are None, and so is the network where it is the host's own.

    Args:
        pid: the first of them; orphans come back to it, or are not seen.
    """
    user = system = held = shared = read = written = swap = count = 0
    swaps = _has_swap()
    for at in family(pid):
        times = _times(at)
        if times is None:
            continue
        count += 1
        user, system = user + times[0], system + times[1]
        private, others = _memory(at)
        held, shared = held + private, max(shared, others)
        moved = _moved(at)
        read, written = read + moved[0], written + moved[1]
        swap += _swapped(at) if swaps else 0
    if not count:
        return None
    came, went = _network(pid)
    return Gauge(
        cpu_user_us=user * TICK_US,
        cpu_system_us=system * TICK_US,
        memory=held + shared,
        swap=swap,
        disk_read=read,
        disk_written=written,
        net_in=came,
        net_out=went,
        processes=count,
    )


def family(pid: int) -> Iterator[int]:
    """A process and its descendants, parents first."""
    todo, seen = [pid], 0
    while todo and seen < DEEPEST:
        seen += 1
        at = todo.pop()
        yield at
        try:
            threads = os.listdir(f"/proc/{at}/task")
        except OSError:
            continue
        for thread in threads:
            todo += map(int, _read(f"/proc/{at}/task/{thread}/children", whole=True).split())


def _read(path: str, whole: bool = False) -> bytes:
    """A small file of /proc in three system calls; b"" where it is gone, or not for us. ``whole``: also beyond a page."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        found = os.read(fd, READ_ONCE)
        while whole and (more := os.read(fd, READ_ONCE)):
            found += more
        return found
    except OSError:
        return b""
    finally:
        os.close(fd)


def _memory(pid: int) -> tuple[int, int]:
    """Bytes of RAM that are its own, and that it may share with others, files on disk left out."""
    words = _read(f"/proc/{pid}/statm").split(maxsplit=3)
    if len(words) < 4:
        return 0, 0
    mapped = int(words[2]) * PAGE
    return int(words[1]) * PAGE - mapped, _status(pid, b"RssShmem:") if mapped > LIBRARIES else 0


def _times(pid: int) -> tuple[int, int] | None:
    """Ticks in user space and in the kernel, with those of children that were waited for."""
    words = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (int(words[11]) + int(words[13]), int(words[12]) + int(words[14])) if len(words) > 14 else None


def _moved(pid: int) -> tuple[int, int]:
    """Bytes read from and written to disks."""
    found = dict(line.split(b": ") for line in _read(f"/proc/{pid}/io").splitlines() if b": " in line)
    written = int(found.get(b"write_bytes", 0)) - int(found.get(b"cancelled_write_bytes", 0))
    return int(found.get(b"read_bytes", 0)), max(0, written)


def _has_swap() -> bool:
    return _read("/proc/swaps").count(b"\n") > 1


def _swapped(pid: int) -> int:
    return _status(pid, b"VmSwap:")


def _status(pid: int, name: bytes) -> int:
    """Bytes in a line of its status."""
    _, found, rest = _read(f"/proc/{pid}/status").partition(name)
    return int(rest.split(maxsplit=1)[0]) * 1024 if found else 0


def _network(pid: int) -> tuple[int | None, int | None]:
    """Bytes that came and went by a network of its own, loopback left out."""
    try:
        if os.stat("/proc/self/ns/net").st_ino == os.stat(f"/proc/{pid}/ns/net").st_ino:
            return None, None
    except OSError:
        return None, None
    came = went = 0
    for line in _read(f"/proc/{pid}/net/dev").splitlines()[2:]:
        name, _, figures = line.partition(b":")
        words = figures.split()
        if name.strip() != b"lo" and len(words) > 8:
            came, went = came + int(words[0]), went + int(words[8])
    return came, went
