"""The system log of a sandbox: what programs there write to /dev/log, as lines for people."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

LONGEST = 8192
AT_ONCE = 256
_HEAD = re.compile(rb"<\d{1,3}>")


def lines(journal: socket.socket) -> Iterator[bytes]:
    """The lines that have come, without the number that names facility and level."""
    for _ in range(AT_ONCE):
        try:
            data = journal.recv(LONGEST)
        except OSError:
            return
        yield _HEAD.sub(b"", data, count=1).rstrip(b"\0\n") + b"\n"
