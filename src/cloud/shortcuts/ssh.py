"""How to enter a running job by ssh."""

from __future__ import annotations

from typing import Any

__all__ = ["get_ssh_info"]


def get_ssh_info(jid: int, timeout: float | None = None) -> dict[str, Any]:
    """Wait until a job runs, and tell how to enter it.

    Args:
        jid: the job.
        timeout: seconds to wait at most; None = as long as it takes.

    Returns:
        ``{"address": .., "port": .., "username": .., "identity": path of the private key}``, as in
        ``ssh -i identity -p port username@address``.

    Raises:
        TypeError: ``jid`` is not a single job.
        CloudTimeoutError: it did not begin in time.
        CloudException: the job has ended; there is no such job; or this is a job, which has no key pair.
    """
    from cloud import _identity, wait_for

    identity = _identity.path()
    found = wait_for.shell(jid, timeout)
    _identity.remember(identity, found["address"], found["port"], found.pop("key"))
    return {**found, "identity": identity}
