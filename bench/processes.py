"""The processes of one PiCloud installation, found by the mark in their environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass
class Installation:
    """Its processes by part; each list may be empty."""

    control: list[psutil.Process]
    edge: list[psutil.Process]
    workers: list[psutil.Process]
    runners: list[psutil.Process]

    def all(self) -> list[psutil.Process]:
        """Every process of the installation."""
        return self.control + self.edge + self.workers + self.runners


def installation(home: Path) -> Installation:
    """The live processes of the installation in ``home``; clients that only talk to it are left out."""
    found = Installation([], [], [], [])
    for process, words in _of_home(home):
        if "picloud.worker" in words:
            part = found.runners if _below_worker(process) else found.workers
        elif "picloud.edge" in words:
            part = found.edge
        elif "picloud.server" in words or " serve" in words:
            part = found.control
        elif _below_worker(process):
            part = found.runners
        else:
            continue
        part.append(process)
    return found


def _of_home(home: Path) -> Iterator[tuple[psutil.Process, str]]:
    found = home.stat()
    mark = f"PICLOUD_INSTANCE={found.st_dev:x}-{found.st_ino:x}\0".encode()
    for process in psutil.process_iter():
        try:
            below_worker = str(home / "work") in _link(process.pid, "cwd")
            environ = Path(f"/proc/{process.pid}/environ").read_bytes() + b"\0"
            if (mark in environ or below_worker) and process.pid != os.getpid():
                yield process, " ".join(process.cmdline())
        except (psutil.Error, OSError):
            continue


def _link(pid: int, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def _below_worker(process: psutil.Process) -> bool:
    try:
        return any("picloud.worker" in " ".join(parent.cmdline()) for parent in process.parents())
    except psutil.Error:
        return False


def memory(processes: list[psutil.Process]) -> int:
    """Resident bytes of the processes together; pages they share are counted for each."""
    return sum(_resident(process) for process in processes)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def unshared_memory(processes: list[psutil.Process]) -> int:
    """Proportional bytes (PSS) of the processes together: shared pages are counted once."""
    total = 0
    for process in processes:
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def processor_seconds(processes: list[psutil.Process]) -> float:
    """Processor time that the processes used so far."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total
