"""Processes of this machine, told apart for certain: a pid is reused, a pid with its start time and its marker is not.

Every process of an installation was started with a *mark* in its environment: server and workers with
``PICLOUD_INSTANCE``, workers with ``PICLOUD_WORKER`` too, and what runs in a slot with ``PICLOUD_SOCKET``, the path of its door
inside the worker's folder. Marks pass to children, so that whatever a job leaves behind is found after its worker has gone.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

INSTANCE = "PICLOUD_INSTANCE"
"""Environment variable: which installation a process belongs to (:func:`instance`)."""

WORKER = "PICLOUD_WORKER"
"""Environment variable: the incarnation of a worker."""

DOOR = "PICLOUD_SOCKET"
"""Environment variable: the socket by which a job calls the server; it lies in the folder of the job's worker."""


def instance(home: Path) -> str:
    """The marker of an installation: its home folder's device and inode, so that two paths to one folder agree."""
    found = home.stat()
    return f"{found.st_dev:x}-{found.st_ino:x}"


def started(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if there is none of that pid, or only its zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    state, *fields = text[text.rindex(")") + 2 :].split()
    return None if state in "ZX" else int(fields[18])


def alive(pid: int, since: int) -> bool:
    """Whether the process of that pid and start time still runs."""
    return started(pid) == since


def environment(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty if it has gone or belongs to somebody else."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in text.split(b"\0") if b"=" in item)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def command(pid: int) -> list[bytes]:
    """The words a process was started with; empty if it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def mark(name: str, value: str) -> bytes:
    """The mark of processes that have exactly ``name=value`` in their environment."""
    return os.fsencode(f"\0{name}={value}\0")


def of_home(home: Path) -> tuple[bytes, ...]:
    """The marks of an installation."""
    places = (f"{home / 'work'}/", shelter(home, ""))
    return mark(INSTANCE, instance(home)), *(os.fsencode(f"\0{DOOR}={place}") for place in places)


def of_worker(home: Path, incarnation: str) -> tuple[bytes, ...]:
    """The marks of one worker and all that runs below it."""
    folders = (home / "work" / incarnation, shelter(home, incarnation))
    return mark(WORKER, incarnation), *(os.fsencode(f"\0{DOOR}={folder}/") for folder in folders)


def shelter(home: Path, incarnation: str) -> Path:
    """Where a worker puts its doors if the path of its own folder is too long for a socket; nobody guesses the name."""
    return Path(tempfile.gettempdir(), f"picloud-{instance(home)}-{incarnation}")


def marked(marks: Iterable[bytes]) -> Iterator[int]:
    """Pids of the living processes, other than this one, that were started with one of the marks."""
    wanted = tuple(marks)
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            found = b"\0" + Path(f"/proc/{entry}/environ").read_bytes() + b"\0"
        except OSError:
            continue
        if any(one in found for one in wanted) and started(int(entry)) is not None:
            yield int(entry)


def kill_marked(marks: Iterable[bytes], rounds: int = 20) -> int:
    """SIGKILL everything started with one of the marks; how many processes that took.

    Looks again until a whole round finds none, since what is being killed may be forking. Blocks for milliseconds;
    processes of other users are beyond reach and left.
    """
    wanted, killed = tuple(marks), set[int]()
    spared = _ancestors()
    for _ in range(rounds):
        found = [pid for pid in marked(wanted) if pid not in spared]
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        if not found:
            break
        for pid in found:
            wait(pid, 1.0)
    return len(killed)


def wait(pid: int, seconds: float) -> bool:
    """Wait until a process (child or not) has ended; False if it still runs after so many seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], max(seconds, 0.0))[0])
    finally:
        os.close(handle)


def terminate(pid: int, since: int, grace: float) -> bool:
    """SIGTERM, and SIGKILL after ``grace`` seconds; True if the process ended by itself."""
    if not alive(pid, since):
        return True
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if wait(pid, grace):
        return True
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5.0
    while alive(pid, since) and time.monotonic() < deadline:
        wait(pid, 0.1)
    return False


def _ancestors() -> set[int]:
    """This process's parents: a command typed inside a job must not end the shell it was typed in."""
    found, pid = set(), os.getpid()
    while pid > 1:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            break
        pid = int(text[text.rindex(")") + 2 :].split()[1])
        found.add(pid)
    return found
