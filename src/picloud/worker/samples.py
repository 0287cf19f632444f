"""What is looked at while jobs run: memory of a runner with all that it started."""

from __future__ import annotations

import os
from pathlib import Path

PAGE = os.sysconf("SC_PAGESIZE")
DEEPEST = 2000          # processes of one job that are looked at


def memory(pid: int) -> int:
    """Bytes of RAM that a process and its descendants hold, without files that are only mapped; 0 = it has ended."""
    total, todo, seen = 0, [pid], 0
    while todo and seen < DEEPEST:
        seen += 1
        at = todo.pop()
        try:
            _, resident, shared, *_ = Path(f"/proc/{at}/statm").read_bytes().split()
            total += (int(resident) - int(shared)) * PAGE
            for thread in os.listdir(f"/proc/{at}/task"):
                todo += map(int, Path(f"/proc/{at}/task/{thread}/children").read_bytes().split())
        except (OSError, ValueError):
            continue        # it ended while we looked
    return total
