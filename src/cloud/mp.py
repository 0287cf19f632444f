"""The verbs of ``cloud`` on processes of this machine: no server, no account.

    >>> import cloud
    >>> cloud.mp.result(cloud.mp.call(lambda x: x * 3, 3))
    9

Jobs, their jids and their results live as long as this process. At most ``cloud.config.num_procs`` compute at a time.
A job may use ``cloud.mp`` too: it then asks the same processes, and does not count while it waits for other jobs.
"""

from __future__ import annotations

from typing import Any

from cloud import _local_door, _session
from cloud._backend import Backend
from cloud.job import Verbs, finished_statuses

__all__ = [
    "call", "close", "connection_info", "delete", "finished_statuses", "info", "iresult", "jobs", "join", "kill", "map",
    "result", "status",
]  # fmt: skip

_shared: Any = None


def _backend() -> Backend:
    door = _local_door.inside()
    if door is not None:
        return door
    global _shared
    from cloud._local import LocalBackend, Shared

    if _shared is None:
        _shared = Shared()
    found: Backend = _shared.get(lambda: LocalBackend(_session.config.num_procs))
    return found


_verbs = Verbs(_backend, "cloud.mp")

call, map, status, join, result, iresult = _verbs.call, _verbs.map, _verbs.status, _verbs.join, _verbs.result, _verbs.iresult
info, kill, delete, jobs = _verbs.info, _verbs.kill, _verbs.delete, _verbs.jobs
connection_info = _verbs.connection_info


def close() -> bool:
    """End the processes and forget all jobs; the next use starts anew, with ``cloud.config.num_procs`` as it is then.

    Returns:
        True if there were any. Inside a job always False: the jobs are not its own.
    """
    return bool(_local_door.inside() is None and _shared is not None and _shared.drop())
