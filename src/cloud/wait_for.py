"""Wait until a job gets somewhere: a state, or a port that it listens on. The server tells; nothing is polled."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

from cloud import _session
from picloud.wire.error import CloudException, CloudTimeoutError

__all__ = ["port", "status"]

SSH = 22
SHOWN = 2.0
"""Seconds for a job's own sandbox to show what the server knows."""


def status(jid: int, test_status: str, timeout: float | None = None) -> str:
    """Wait until a job has a status.

    Args:
        jid: the job.
        test_status: waiting, queued, processing, done, error, stalled or killed.
        timeout: seconds to wait at most; None = as long as it takes.

    Returns:
        ``test_status``.

    Raises:
        TypeError: ``jid`` is not a single job.
        ValueError: there is no such status.
        CloudTimeoutError: it took too long.
        CloudException: the job has ended otherwise; or there is no such job.
    """
    from picloud.wire.job import Status  # late: a shell is waited for without it, by people

    _check(jid, timeout)
    if test_status not in Status.__members__:
        raise ValueError(f"there is no status {test_status!r}: {', '.join(Status.__members__)}")
    if _session.is_simulated():
        return _simulated_status(jid, test_status, timeout)
    end = _wait(jid, {"status": test_status}, timeout, f"status {test_status}")
    return str(end)


def port(jid: int, port: int, protocol: str = "tcp", timeout: float | None = None) -> dict[str, Any]:
    """Wait until a job listens on a port.

    Args:
        jid: the job.
        port: as the job's own program names it; 22 = the job's shell, which is there as soon as it runs.
        protocol: "tcp"; ports of "udp" are not shown.
        timeout: seconds to wait at most; None = as long as it takes.

    Returns:
        ``{"address": .., "port": ..}`` where others reach it, from this machine and from every job of the account; for
        port 22 also ``"username"``.

    Raises:
        TypeError: ``jid`` or ``port`` is not a single int.
        ValueError: no such port, or another protocol.
        CloudTimeoutError: it took too long.
        CloudException: the job has ended; or there is no such job.
    """
    _check(jid, timeout)
    if not isinstance(port, int) or isinstance(port, bool):
        raise TypeError(f"a port is an int, not {port!r}")
    if not 0 < port < 65_536:
        raise ValueError(f"{port} is no port: 1 to 65535")
    if protocol not in ("tcp", "udp"):
        raise ValueError(f"the protocol is 'tcp' or 'udp', not {protocol!r}")
    if _session.is_simulated():
        _session.backend().statuses([(jid, 1)])
        return {"address": "127.0.0.1", "port": port}
    if protocol == "udp":
        raise ValueError("udp ports of jobs are not shown: let the job listen on tcp")
    found: dict[str, Any] = _wait(jid, {"port": port, "protocol": protocol}, timeout, f"port {port}")
    found.pop("key", None)
    if _session.running_on_cloud() and port != SSH:
        _until_shown(found["address"], found["port"])
    return found


def shell(jid: int, timeout: float | None) -> dict[str, Any]:
    """Port 22, with the ``key`` by which the gateway is known."""
    _check(jid, timeout)
    found: dict[str, Any] = _wait(jid, {"port": SSH}, timeout, "a shell")
    return found


def _until_shown(address: str, port: int) -> None:
    """Inside a job: until its own sandbox shows the neighbour's port too, which takes some milliseconds."""
    import socket

    wanted = f"{int.from_bytes(socket.inet_aton(address), 'little'):08X}:{port:04X}"
    end = time.monotonic() + SHOWN
    while time.monotonic() < end:
        with open("/proc/net/tcp") as table:
            if any(line.split()[1:2] == [wanted] for line in table):
                return
        time.sleep(0.002)


def _check(jid: Any, timeout: Any) -> None:
    if not isinstance(jid, int) or isinstance(jid, bool):
        raise TypeError(f"one job is waited for: jid must be an int, not {jid!r:.60}")
    if timeout is not None and (not isinstance(timeout, int | float) or isinstance(timeout, bool)):
        raise TypeError(f"timeout is a number of seconds or None, not {timeout!r}")


def _wait(jid: int, wanted: dict[str, Any], timeout: float | None, what: str) -> Any:
    """Ask until it is so; the server answers when it knows, or after half a minute."""
    session = _session.session()
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = 60.0 if end is None else max(0.0, end - time.monotonic())
        told = session.link.json("GET", f"/v1/job/{jid}/wait?{urlencode({**wanted, 'seconds': round(left, 3)})}")
        if told["found"]:
            return told["found"]
        if told["over"]:
            raise CloudException(f"it has ended ({told['status']}) without {what}", jid=jid, hint=f"cloud.info({jid}) tells more")
        if end is not None and time.monotonic() >= end:
            raise CloudTimeoutError(f"no {what} after {timeout:g} s; it is {told['status']}", jid=jid, hint="wait longer")


def _simulated_status(jid: int, test_status: str, timeout: float | None) -> str:
    """Jobs of this machine: only their end is told, so only for that can be waited."""
    from picloud.wire.job import Status

    backend = _session.backend()
    (now,) = backend.statuses([(jid, 1)])
    if Status(now).name != test_status and now < Status.done:
        list(backend.finished([(jid, 1)], payload=False, patience=lambda: timeout))
        (now,) = backend.statuses([(jid, 1)])
    if Status(now).name != test_status:
        raise CloudException(f"it has ended ({Status(now).name}) without status {test_status}", jid=jid)
    return test_status
