"""The simulator: ``cloud.*`` itself on processes of this machine, no server, no account.

``cloud._session`` asks :func:`active` and takes :func:`backend` instead of the network. Differences from the service:
core types, environments and volumes are ignored, and some ``info`` fields are None (``cloud._local_info.ABSENT``).
Everything is pickled and checked as on the service.
"""

from __future__ import annotations

from typing import Any

from cloud import _local_door
from cloud._backend import Backend

_on = False
_shared: Any = None


def start(force_restart: bool = False) -> None:
    """Switch ``cloud.*`` to the simulator; ``force_restart`` drops the jobs it has."""
    global _on
    if force_restart:
        drop()
    _on = True


def stop() -> bool:
    """Switch back to the network and drop the simulated jobs; True if the simulator was on."""
    global _on
    was, _on = _on, False
    drop()
    return was


def active() -> bool:
    """True when ``cloud.*`` is simulated here: it was started, or this is a job of a simulator."""
    return _on or _local_door.simulator() is not None


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


def drop() -> bool:
    """End its processes and forget its jobs; True if there were any."""
    return bool(_shared is not None and _shared.drop())
