"""What an engine is: it places workers and tells when they end. No truth lives here; leases and jobs are the store's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

from picloud.settings import CoreType
from picloud.wire.image import Image
from picloud.wire.volume import Volume


class Order(Struct, kw_only=True):
    """What a worker is told at its start, as one line of JSON on its standard input (it holds a secret)."""

    url: str  # of the control process
    incarnation: str  # this worker's name, hex
    secret: str  # its credential, hex
    folder: str  # its own folder
    core_type: str
    cores: int  # of each job
    memory_limit: int  # bytes, of each job; 0 = none
    reconnect: float  # seconds it computes on without its server
    log_head: int  # first bytes kept of each output stream
    log_tail: int  # last bytes kept
    slots: int  # to begin with
    image: Image | None = None  # what its jobs see; None = base/host with the worker's interpreter
    layers: str = ""  # folder of the host's unpacked layers
    cache: str = ""  # folder of the blocks that mounts on this host share; "" = nothing is mounted
    volumes: list[Volume] = field(default_factory=list)  # mounted in its jobs, besides the bucket
    core_types: dict[str, CoreType] = field(default_factory=dict)  # the installation's table, for advice to failed jobs
    rung: str = ""  # of the sandbox ladder, A to D; "" = the best that works
    account: int = 0  # whose sandboxes they are
    units: int = 1000  # compute units of a slot, thousandths
    disk: int = 0  # bytes that a slot may hold on disk; 0 = no limit
    network: bool = True  # outbound connections
    private: bool = True  # to the local network too
    host_cores: int = 0  # of its host; 0 = not told
    host_memory: int = 0  # bytes that jobs may use there
    host_units: int = 0  # compute units, thousandths


class Placement(Struct, frozen=True):
    """Where a worker runs; kept in the store so that a later server can adopt it."""

    incarnation: str
    pid: int
    started: int  # start time of the process, clock ticks since the host's boot
    host: str  # boot id of the host: a pid from before a reboot means nothing


class Capacity(Struct, frozen=True):
    """What a host offers."""

    cores: int
    memory: int  # bytes, without the reserve
    units: int  # compute units, thousandths


class Engine(Protocol):
    """Places and stops workers. All methods are called in the event loop."""

    on_exit: Callable[[str, str], None]
    """Called with (incarnation, evidence) in the event loop as soon as a watched worker has ended."""

    async def start(self, order: Order) -> Placement:
        """Start a worker and watch it.

        Raises:
            Unavailable: the worker cannot be started now; the text says why.
        """

    async def stop(self, placement: Placement, grace: float, drain: float = 0.0) -> None:
        """End a worker and clear what it left; returns when all is gone.

        Args:
            placement: which.
            grace: seconds between asking it to end (SIGTERM) and ending it.
            drain: seconds to wait for it to end by itself before that, for a worker that was told to stop.
        """

    async def adopt(self, placement: Placement) -> bool:
        """Watch a worker of an earlier server again; False if it is no longer there (``on_exit`` is not called)."""

    async def point(self, placement: Placement, url: str) -> None:
        """Tell an adopted worker, which lost its server, where control listens now."""

    async def sweep(self) -> None:
        """Clear everything of workers that are not watched: call once, after the last ``adopt`` of a server's start."""

    def capacity(self) -> Capacity:
        """What the hosts offer together."""

    async def close(self) -> None:
        """Stop watching. Workers live on: the next server adopts them."""


def host_cores() -> int:
    """Cores this process may use: its CPU mask, or the cgroup's quota if that is less."""
    mask = len(os.sched_getaffinity(0))
    quota, period = _cgroup_cpu()
    return max(1, min(mask, quota // period)) if quota > 0 and period > 0 else mask


def host_memory() -> int:
    """Bytes of RAM this process may use: the machine's, or the cgroup's limit if that is less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = (_cgroup_number("memory.max"), _cgroup_number("memory/memory.limit_in_bytes"))
    return min([total, *(limit for limit in limits if limit > 0)])


def _cgroup_cpu() -> tuple[int, int]:
    """(quota, period) in microseconds; quota 0 = none."""
    words = _cgroup_text("cpu.max").split()
    if len(words) == 2:
        return (int(words[0]) if words[0].isdigit() else 0), int(words[1])
    return _cgroup_number("cpu/cpu.cfs_quota_us"), _cgroup_number("cpu/cpu.cfs_period_us")


def _cgroup_number(name: str) -> int:
    text = _cgroup_text(name).strip()
    return int(text) if text.isdigit() else 0


def _cgroup_text(name: str) -> str:
    try:
        return Path("/sys/fs/cgroup", name).read_text()
    except OSError:
        return ""
