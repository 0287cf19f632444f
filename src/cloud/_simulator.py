"""The simulator: ``cloud.*`` itself on processes of this machine, no server, no account.

``cloud._session`` knows whether it is on, and then takes :func:`backend` instead of the network. Differences from the service:
core types, environments and volumes are ignored, and some ``info`` fields are None (``cloud._local_info.ABSENT``).
Everything is pickled and checked as on the service.
"""

from __future__ import annotations

from typing import Any

from cloud import _local_door
from cloud._backend import Backend

_shared: Any = None


def start(force_restart: bool = False) -> None:
    """``cloud.start_simulator`` was called; ``force_restart`` drops the jobs of the one that runs."""
    if force_restart:
        stop()


def stop() -> bool:
    """End its processes and forget its jobs; True if there were any."""
    return bool(_shared is not None and _shared.drop())


def backend(num_procs: int = 8) -> Backend:
    """Where simulated jobs go: the door when this is such a job, else processes of this machine.

    Args:
        num_procs: how many jobs compute at a time (0 = one for each core); read when the first job is made.
    """
    door = _local_door.simulator()
    if door is not None:
        return door
    global _shared
    from cloud._local import LocalBackend, Shared

    if _shared is None:
        _shared = Shared()
    found: Backend = _shared.get(lambda: LocalBackend(num_procs, simulator=True))
    return found
