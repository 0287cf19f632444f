"""All contents of an image with their versions, read from its files: nothing in it is run.

packages(folders) -> [Package("python", "numpy", "2.4.0"), ...]
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import Struct

SITES = (
    "opt/picloud/venv/lib/python3*/site-packages",
    "usr/local/lib/python3*/site-packages",
    "usr/local/lib/python3*/dist-packages",
    "usr/lib/python3*/site-packages",
    "usr/lib/python3*/dist-packages",
    "opt/*/lib/python3*/site-packages",
)
R_LIBRARIES = ("usr/local/lib/R/site-library", "usr/local/lib/R/library", "usr/lib/R/site-library", "usr/lib/R/library")
GEMS = (
    "var/lib/gems/*/specifications",
    "usr/local/lib/ruby/gems/*/specifications",
    "usr/share/rubygems-integration/*/specifications",
    "usr/lib/ruby/gems/*/specifications",
    "usr/lib/ruby/gems/*/specifications/default",
)
NODE = ("usr/local/lib/node_modules", "usr/lib/node_modules", "usr/share/nodejs")
SIZE = 64 << 20
"""Bytes of one list that are read."""


class Package(Struct, frozen=True, order=True):
    """Something installed."""

    kind: str  # debian, python, r, ruby or node
    name: str
    version: str


def packages(folders: Sequence[Path], sites: Sequence[Path] = ()) -> list[Package]:
    """What is installed in an image.

    Args:
        folders: its unpacked layers, the lowest first; Path("/") for the machine's own system.
        sites: further folders of Python packages on this machine, those of the caller's interpreter.

    Returns:
        Sorted by kind and name; of Python packages in several folders all are named.
    """
    view = View(folders)
    found = {*_debian(view), *_r(view), *_gems(view), *_node(view)}
    for pattern in SITES:
        for site in view.match(pattern):
            found.update(_python(view.names(site)))
    for folder in sites:
        found.update(_python(os.listdir(folder) if folder.is_dir() else []))
    return sorted(found)


class View:
    """Layers as one tree, the way overlayfs shows it; links are not followed, since they are the image's, not ours."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = list(reversed(folders))

    def names(self, path: str) -> list[str]:
        """What is in a folder; nothing where there is none."""
        found: dict[str, bool] = {}
        for place in self._places(path):
            if stat.S_ISDIR(os.lstat(place).st_mode):
                for item in os.scandir(place):
                    found.setdefault(item.name, not _removed(item.stat(follow_symlinks=False)))
        return sorted(name for name, there in found.items() if there)

    def match(self, pattern: str) -> list[str]:
        """The paths that fit a pattern, of which * stands for part of a name."""
        paths = [""]
        for part in pattern.split("/"):
            steps = (((path, [part]) if "*" not in part else (path, self.names(path))) for path in paths)
            paths = [f"{path}/{name}".lstrip("/") for path, names in steps for name in names if fnmatchcase(name, part)]
        return [path for path in paths if next(self._places(path), None)]

    def read(self, path: str) -> str:
        """A file's text; "" where there is none."""
        place = next(self._places(path), None)
        if place is None or not stat.S_ISREG(os.lstat(place).st_mode):
            return ""
        with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            return file.read(SIZE).decode(errors="replace")

    def _places(self, path: str) -> Iterator[Path]:
        """Where a path lies, the uppermost first, as far down as it shines through."""
        for folder in self._folders:
            place, hidden = _walk(folder, path)
            if place:
                yield place
            if hidden:
                return


def _walk(folder: Path, path: str) -> tuple[Path | None, bool]:
    """A path in one layer, if it is there; whether that layer hides what lies below."""
    place, hidden, parts = folder, False, path.split("/") if path else []
    for count, part in enumerate(parts, 1):
        place = place / part
        try:
            status = os.lstat(place)
        except OSError:
            return None, hidden
        if _removed(status):
            return None, True
        if not stat.S_ISDIR(status.st_mode):
            return (place if count == len(parts) else None), True
        hidden = hidden or _opaque(place)
    return place, hidden


def _removed(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _opaque(folder: Path) -> bool:
    try:
        return os.getxattr(folder, "user.overlay.opaque") == b"y"
    except OSError:
        return False


def _debian(view: View) -> Iterator[Package]:
    texts = [
        view.read("var/lib/dpkg/status"),
        *(view.read(f"var/lib/dpkg/status.d/{name}") for name in view.names("var/lib/dpkg/status.d")),
    ]
    for stanza in (stanza for text in texts for stanza in text.split("\n\n")):
        fields = dict(re.findall(r"^(Package|Version|Status): *(.+)$", stanza, re.MULTILINE))
        if "Package" in fields and "Version" in fields and fields.get("Status", "ok installed").endswith(" installed"):
            yield Package("debian", fields["Package"], fields["Version"])


def _python(names: Sequence[str]) -> Iterator[Package]:
    """Each distribution has a folder, or a file, that says name and version."""
    for name in names:
        found = re.fullmatch(r"(.+?)-([^-]+)(?:-py3\.\d+)?\.(?:dist|egg)-info", name)
        if found and not name.startswith("~"):
            yield Package("python", re.sub(r"[-_.]+", "-", found[1]).lower(), found[2])


def _r(view: View) -> Iterator[Package]:
    for library in R_LIBRARIES:
        for name in view.names(library):
            version = re.search(r"^Version: *(\S+)", view.read(f"{library}/{name}/DESCRIPTION"), re.MULTILINE)
            if version:
                yield Package("r", name, version[1])


def _gems(view: View) -> Iterator[Package]:
    for pattern in GEMS:
        for folder in view.match(pattern):
            for name in view.names(folder):
                found = re.fullmatch(r"(.+?)-(\d[^-]*)(?:-.+)?\.gemspec", name)
                if found:
                    yield Package("ruby", found[1], found[2])


def _node(view: View) -> Iterator[Package]:
    for folder in NODE:
        for name in view.names(folder):
            inner = [f"{name}/{part}" for part in view.names(f"{folder}/{name}")] if name.startswith("@") else [name]
            for module in inner:
                yield from _module(view.read(f"{folder}/{module}/package.json"))


def _module(text: str) -> Iterator[Package]:
    try:
        said = json.loads(text) if text else {}
    except ValueError:
        return
    if isinstance(said, dict) and isinstance(said.get("name"), str) and isinstance(said.get("version"), str):
        yield Package("node", said["name"], said["version"])
