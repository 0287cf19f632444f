"""Volumes: their names, and where jobs see them."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated

from msgspec import Meta, Struct

from picloud.wire.error import BadRequest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,63}")
Name = Annotated[str, Meta(extra_json_schema={"pattern": f"^{NAME.pattern}$"})]
LONGEST_DESCRIPTION = 1024
HOME = "/home/picloud"
TAKEN = (
    "/bucket",
    "/proc",
    "/dev",
    "/sys",
    "/run",
    "/etc",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/boot",
    "/var/lib",
    "/tmp",
)
"""Folders of the system, in which and over which nothing is mounted."""


class Volume(Struct, omit_defaults=True):
    """A volume as its owner sees it."""

    name: str
    mount: str  # absolute
    created: int = 0  # epoch ms
    description: str = ""
    host: str = ""  # the folder of the server's machine that it shows
    read_only: bool = False
    objects: int = 0
    bytes: int = 0


def check_name(name: object) -> str:
    """A name that a volume can have.

    Raises:
        BadRequest: it cannot.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadRequest(f"{str(name)[:80]!r} is no name of a volume", hint="2 to 64 letters, digits, _ . or -")
    return name


def check_mount(path: object) -> str:
    """Where jobs see a volume, as an absolute path; a relative one is below the home of jobs.

    Raises:
        BadRequest: nothing can be mounted there.
    """
    if not isinstance(path, str) or not path or "\0" in path or len(path) > 1024:
        raise BadRequest("a volume needs a mount path", hint="for instance data, which jobs see as /home/picloud/data")
    if ".." in path.split("/"):
        raise BadRequest(f"{path!r} holds ..", hint="name the folder itself")
    whole = posixpath.normpath(posixpath.join(HOME, path)).replace("//", "/")
    if whole in ("/", "/home", HOME, "/var") or any(f"{whole}/".startswith(f"{one}/") for one in TAKEN):
        raise BadRequest(
            f"a volume cannot be mounted at {whole}", hint="below /home/picloud, or in a folder of its own such as /data"
        )
    return whole


def split(path: object) -> tuple[str, str]:
    """The volume and the path in it of "volume:path"; the path without slashes at its ends.

    Raises:
        BadRequest: it has no colon.
    """
    if not isinstance(path, str) or ":" not in path:
        raise BadRequest(f"{path!r} names no volume", hint="write volume:path, for instance data:results")
    name, _, rest = path.partition(":")
    return check_name(name), rest.strip("/")
