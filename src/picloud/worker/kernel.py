"""What the kernel's own log says of jobs' processes (segfaults, kills for lack of memory), into their system logs.

Only where /dev/kmsg may be read, as root on most machines. A line names a process, which lives on for a moment while the
kernel ends it: long enough to see whose it is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from picloud.worker.loop import Loop
from picloud.worker.slot import Slot

DEVICE = "/dev/kmsg"
LONGEST = 8192  # bytes of one record
TURNS = 64  # records read before others get their turn
DEPTH = 64  # generations from a process of a job up to its runner

_OF = re.compile(r"^\S.*?\[(\d+)\]: segfault|\btrap(?:s:)? .*?\[(\d+)\]|[Kk]illed process (\d+)|^oom-kill:.*\bpid=(\d+)")


class KernelLog:
    """Reads it for all slots of a worker."""

    def __init__(self, loop: Loop, slots: list[Slot]) -> None:
        self._slots = slots
        try:
            self._fd = os.open(DEVICE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return  # not for us: the programs' exit statuses still tell
        os.lseek(self._fd, 0, os.SEEK_END)
        loop.watch(self._fd, self._read)

    def _read(self) -> None:
        for _ in range(TURNS):
            try:
                record = os.read(self._fd, LONGEST)
            except BlockingIOError:
                return
            except BrokenPipeError:
                continue  # records were overwritten before we came
            self.say(record.partition(b";")[2].partition(b"\n")[0].decode(errors="replace"))

    def say(self, text: str) -> None:
        """Give a line to the job that it is about."""
        pid = process_of(text)
        slot = self._owner(pid) if pid else None
        if slot is not None and slot.job is not None:
            slot.tell(slot.job, f"kernel: {text}", "syslog")

    def _owner(self, pid: int) -> Slot | None:
        """The slot that a process belongs to."""
        firsts = {slot.process.pid: slot for slot in self._slots if slot.process is not None}
        for _ in range(DEPTH):
            if pid in firsts or pid <= 1:
                break
            pid = _parent(pid)
        return firsts.get(pid)


def process_of(text: str) -> int:
    """The process that a line of the kernel tells the end of; 0 = it tells of something else."""
    found = _OF.search(text)
    return int(next(group for group in found.groups() if group)) if found else 0


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
