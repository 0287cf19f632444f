"""What a job's file system is made of. Control decides it once for each kind of worker; the worker builds it."""

from __future__ import annotations

from msgspec import Struct, field

HOST = "base/host"
"""The base that is the machine's own system: its programs, and the interpreter of the caller."""

VENV = "/opt/picloud/venv"
"""The Python of an environment, a virtual environment over that of its base: pip installs there."""


class Image(Struct, frozen=True):
    """A base with layers over it.

    ``layers`` are digests of stored layers, the lowest first. With ``host`` the machine's own system lies below them;
    without it the first layer is a root file system.
    """

    name: str = HOST  # for people
    host: bool = True
    layers: list[str] = field(default_factory=list)
    python: str = ""  # the interpreter that runs jobs, as a path inside; "" = none: programs only
    version: str = ""  # that interpreter's, "3.11"
    folders: list[str] = field(default_factory=list)  # of the host, shown read-only at their own paths: the interpreter's
    setup: int = 0  # id of the environment that is being changed here: root inside, a writable layer on top
    digest: str = ""  # of the whole; recorded with each result
