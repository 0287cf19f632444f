"""PiCloud at your prompt: run any function elsewhere, by ``cloud.call`` and ``cloud.map``.

    >>> import cloud
    >>> jid = cloud.call(lambda x: x * 3, 3)
    >>> cloud.result(jid)
    9

Submodules (``cloud.mp``, ``cloud.shell``, ``cloud.environment``, ..) are loaded at their first use.
"""

from typing import Any as _Any

from cloud._session import (
    close,
    config,
    getconfigpath,
    is_simulated,
    running_on_cloud,
    set_dependency_whitelist,
    setkey,
    start_simulator,
)
from cloud._usage import credit, estimate, usage
from cloud.job import (
    call,
    connection_info,
    delete,
    finished_statuses,
    info,
    iresult,
    jobs,
    join,
    kill,
    logs,
    map,
    result,
    samples,
    status,
)
from picloud.wire.error import CloudException, CloudTimeoutError

__version__ = "0.1.0"

c1, c2, m1 = "c1", "c2", "m1"

__all__ = [
    "CloudException", "CloudTimeoutError", "__version__", "c1", "c2", "call", "close", "config", "connection_info",
    "credit", "delete", "estimate", "finished_statuses", "getconfigpath", "info", "iresult", "is_simulated", "jobs", "join",
    "kill", "logs", "m1", "map", "result", "running_on_cloud", "samples", "set_dependency_whitelist", "setkey",
    "start_simulator", "status", "usage",
]  # fmt: skip


def __getattr__(name: str) -> _Any:
    """A submodule, at its first use."""
    from importlib import import_module
    from importlib.util import find_spec

    if not name.startswith("_") and find_spec(f"cloud.{name}") is not None:
        return import_module(f"cloud.{name}")
    raise AttributeError(f"module 'cloud' has no attribute {name!r}")
