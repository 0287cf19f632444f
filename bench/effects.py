"""What jobs leave outside of their sandboxes, seen the moment it is left: lines in a pipe that every worker shows to its jobs.

A job writes ``name index`` in one write, which nothing can cut; see :func:`leave`. The pipe is one file under many names:
in the folder of arguments of each worker, which sandboxes show read-only. That forbids making files, not writing into a pipe.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType

NAME = "effects"
LOOK = 0.005  # seconds between two looks for new workers


def leave(name: str, index: int) -> None:
    """In a job: leave a line."""
    import time

    path = os.path.join(os.path.dirname(os.environ["PICLOUD_SOCKET"]), "arguments", NAME)
    deadline = time.monotonic() + 30
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.002)
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, f"{name} {index}\n".encode())
    finally:
        os.close(file)


class Effects:
    """Collects the lines while a soak lasts.

    Args:
        home: folder of the installation.
    """

    def __init__(self, home: Path) -> None:
        self._home, self._pipe = home, home / NAME
        os.mkfifo(self._pipe)
        self._pipe.chmod(0o666)
        self._file = os.open(self._pipe, os.O_RDWR)  # a writer of our own: the pipe never ends
        self._news, self._seen = threading.Condition(), dict[str, Counter[int]]()
        self._stop = threading.Event()
        for act in (self._read, self._show):
            threading.Thread(target=act, daemon=True).start()

    def __enter__(self) -> Effects:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        os.write(self._file, b"end 0\n")

    def of(self, name: str) -> Counter[int]:
        """How often each index was left under this name so far."""
        with self._news:
            return Counter(self._seen.get(name, Counter()))

    def until_more(self, name: str, seen: int, seconds: float = 60.0) -> None:
        """Wait until more than ``seen`` were left under this name."""
        with self._news:
            self._news.wait_for(lambda: self._seen.get(name, Counter()).total() > seen, seconds)

    def _read(self) -> None:
        rest = b""
        while not self._stop.is_set():
            *lines, rest = (rest + os.read(self._file, 65_536)).split(b"\n")
            with self._news:
                for name, index in (line.split() for line in lines):
                    self._seen.setdefault(name.decode(), Counter())[int(index)] += 1
                self._news.notify_all()
        os.close(self._file)

    def _show(self) -> None:
        """Give the pipe another name wherever a worker has begun."""
        while not self._stop.wait(LOOK):
            for folder in (self._home / "work").glob("*/arguments"):
                with contextlib.suppress(OSError):
                    os.link(self._pipe, folder / NAME)
