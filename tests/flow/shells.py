"""A job to enter, and OpenSSH's own programs to enter it with."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cloud
from cloud import _identity
from cloud.shortcuts.ssh import get_ssh_info

DEADLINE = 30.0


@contextmanager
def sleeping(command: str = "exec sleep 600", **options: Any) -> Iterator[int]:
    """A job that runs until it is left."""
    jid = cloud.shell.execute(command, {}, **options)
    try:
        yield jid
    finally:
        cloud.kill(jid)


def run(argv: list[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end."""
    return subprocess.run(argv, capture_output=True, timeout=DEADLINE, check=False, **more)


def ssh(jid: int, *words: str, flags: tuple[str, ...] = (), **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a program in a job."""
    return run([*_identity.command(get_ssh_info(jid, DEADLINE), *flags), *words], **more)


def copier(jid: int, program: str) -> tuple[list[str], str]:
    """scp or sftp, ready for a job, and the job's name for it."""
    info = get_ssh_info(jid, DEADLINE)
    return [program, "-q", *_identity.options(info), "-P", str(info["port"])], f"{info['username']}@{info['address']}"


def free_port() -> int:
    """A port that nobody of this machine listens on: jobs without a network of their own share it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
