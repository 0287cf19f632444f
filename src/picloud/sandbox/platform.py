"""The platform's own interpreter inside any file system: it starts the shim and runs programs where an image has no Python.

An image's libc need not be ours, so ours is shown beside the interpreter and loaded by name.
"""

from __future__ import annotations

import os
import struct
import sys
from functools import cache
from pathlib import Path
from typing import Any

from picloud.wire.image import Image

PLACE = "/run/picloud/host"
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")


@cache
def folders() -> tuple[str, ...]:
    """The interpreter's folders on the host, without those inside others."""
    found: list[str] = []
    for one in sorted({os.path.realpath(sys.base_prefix), os.path.realpath(sys.prefix)}, key=len):
        if not any(one == other or one.startswith(f"{other}/") for other in [*found, "/usr"]):
            found.append(one)
    return tuple(found)


@cache
def steps() -> list[list[Any]]:
    """What the launcher does to show interpreter and libraries under :data:`PLACE`."""
    made: list[list[Any]] = [["show", "/usr", f"{PLACE}/usr", True]]
    for name in ("lib", "lib64"):
        if os.path.islink(f"/{name}"):
            made.append(["link", os.readlink(f"/{name}"), f"{PLACE}/{name}"])
        elif os.path.isdir(f"/{name}"):
            made.append(["show", f"/{name}", f"{PLACE}/{name}", True])
    return made + [["show", folder, f"{PLACE}{folder}", True] for folder in folders()]


@cache
def command(foreign: bool) -> list[str]:
    """The words that start the interpreter: as it is, or (``foreign``) with the libraries from :data:`PLACE`."""
    program = os.path.realpath(sys.executable)
    loader = _loader(Path(program))
    if not foreign or not loader:
        return [program]
    kinds = [f"{PLACE}{place}" for place in _library_folders()]
    loader = os.path.realpath(loader)  # its links may be absolute, and would lead into the image
    return [f"{PLACE}{loader}", "--library-path", ":".join(kinds), f"{PLACE}{program}"]


def image() -> Image:
    """``base/host`` with the interpreter that runs this."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Image(python=sys.executable, version=version, folders=list(folders()))


def _library_folders() -> list[str]:
    triplets = [name for name in os.listdir("/usr/lib") if name.endswith("-linux-gnu")] if os.path.isdir("/usr/lib") else []
    places = [f"/usr/lib/{name}" for name in triplets] + [f"/lib/{name}" for name in triplets]
    return [one for one in [*places, *LIBRARIES] if os.path.isdir(one)]


def _loader(program: Path) -> str:
    """The dynamic loader that an ELF program names; "" for a static one."""
    with open(program, "rb") as file:
        head = file.read(64)
        if head[:4] != b"\x7fELF" or head[4] != 2:
            return ""
        (offset,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
        for number in range(count):
            file.seek(offset + number * size)
            kind, _, start, _, _, length = struct.unpack("<IIQQQQ", file.read(40))
            if kind == 3:  # PT_INTERP
                file.seek(start)
                return file.read(length).rstrip(b"\0").decode()
    return ""
