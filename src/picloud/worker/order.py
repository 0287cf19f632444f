"""What the engine tells a worker: one line of JSON on its standard input."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field

from picloud.settings import CoreType
from picloud.wire.image import Image
from picloud.wire.volume import Volume

CONTROL = "control"
"""File in the worker's folder: the URL of the server that took over, where it listens elsewhere than the one before."""


class Order(Struct):
    """Everything a worker knows at its start. The secret comes this way so that no argument list shows it."""

    url: str  # of control
    incarnation: str
    secret: str
    folder: str  # this worker's own, made by it if need be
    core_type: str = ""
    cores: int = 1  # of one slot
    memory_limit: int = 0  # bytes, of one slot; 0 = none
    reconnect: float = 600.0  # seconds that the worker computes on without its server
    log_head: int = 1 << 20  # first bytes kept of each stream of a job
    log_tail: int = 10 << 20  # last bytes kept
    slots: int = 1
    window: int = 2048  # leases held at most: many, so that a map of tiny jobs is few transactions
    core_types: dict[str, CoreType] = field(default_factory=dict)  # the installation's table, for advice
    host_cores: int = 0  # of this host; 0 = not told
    host_memory: int = 0  # bytes that jobs may use here
    host_units: int = 0  # compute units, thousandths
    rung: str = ""  # A to D; "" = the best that works here
    image: Image | None = None  # None = base/host with this worker's interpreter
    layers: str = ""  # folder of the host's unpacked layers
    cache: str = ""  # folder of the blocks that mounts on this host share; "" = nothing is mounted
    volumes: list[Volume] = field(default_factory=list)  # mounted in its jobs, besides the bucket
    account: int = 0
    units: int = 1000  # compute units of a slot, thousandths
    disk: int = 0  # bytes that a slot may hold on disk; 0 = no limit
    network: bool = True  # outbound connections
    private: bool = True  # to the local network too

    def look(self) -> None:
        """Find out where control listens by now."""
        try:
            self.url = (Path(self.folder) / CONTROL).read_text() or self.url
        except OSError:
            return  # the server is still the one that started us

    @property
    def authorization(self) -> str:
        """The header that names this worker to control."""
        return f"Worker {self.incarnation}:{self.secret}"
