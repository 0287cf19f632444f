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
    sandboxes: list[psutil.Process]  # what makes and holds sandboxes, and programs of jobs

    def all(self) -> list[psutil.Process]:
        """Every process of the installation."""
        return self.control + self.edge + self.workers + self.runners + self.sandboxes


def installation(home: Path) -> Installation:
    """The live processes of the installation in ``home``; clients that only talk to it are left out."""
    found = Installation([], [], [], [], [])
    known: dict[int, psutil.Process] = {}
    for process in _of_home(home):
        known |= {one.pid: one for one in (process, *_below(process))}
    for process in known.values():
        words = _words(process)
        if "picloud.worker.runner" in words:
            found.runners.append(process)
        elif "-m picloud.worker" in words:
            found.workers.append(process)
        elif "picloud.edge" in words:
            found.edge.append(process)
        elif "picloud.server" in words or " serve" in words:
            found.control.append(process)
        elif _below_worker(process) or any(word in words for word in SANDBOX):
            found.sandboxes.append(process)
    return found


SANDBOX = ("sandbox/holder.py", "shim.py", "bwrap", "slirp4netns")


def _of_home(home: Path) -> Iterator[psutil.Process]:
    """Those that carry its mark; what runs in a sandbox carries none, and is found below them."""
    found = home.stat()
    mark = f"PICLOUD_INSTANCE={found.st_dev:x}-{found.st_ino:x}\0".encode()
    for process in psutil.process_iter():
        try:
            environ = Path(f"/proc/{process.pid}/environ").read_bytes() + b"\0"
            if mark in environ and process.pid != os.getpid():
                yield process
        except (psutil.Error, OSError):
            continue


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True)) if "picloud.worker" in _words(process) else []
    except psutil.Error:
        return []


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _below_worker(process: psutil.Process) -> bool:
    try:
        return any("picloud.worker" in _words(parent) for parent in process.parents())
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
