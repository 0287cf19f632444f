"""A base: one layer that is a whole root file system, made out of tars from elsewhere.

build(tars, out, ids) -> Base
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import zstandard
from msgspec import Struct

from picloud.sandbox import layer, pack, unpack, userns
from picloud.sandbox.tar import PIECE
from picloud.sandbox.userns import Ids
from picloud.wire.error import BadRequest

Progress = Callable[[str], None]
"""Gets a line for people, now and then."""
VENV = "/opt/picloud/venv"
"""Where an environment's own Python packages are, in all images."""
PYTHONS = (f"{VENV}/bin/python", "/usr/local/bin/python3", "/usr/bin/python3", "/opt/conda/bin/python3")
"""The interpreter of jobs is the first of these that is there."""
FOLDERS = {"dev": 0o755, "proc": 0o755, "sys": 0o755, "run": 0o755, "home": 0o755, "opt": 0o755, "root": 0o700, "tmp": 0o1777}
"""What a sandbox mounts on or needs, and a container image may lack."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Base(Struct, frozen=True):
    """A base that was made."""

    digest: str  # of its layer: sha256 of the compressed tar
    size: int  # bytes of that
    files: int
    unpacked: int  # bytes of the files
    distro: str = ""  # "Debian GNU/Linux 12 (bookworm)"
    python: str = ""  # the interpreter that runs jobs, as a path inside; "" = none
    version: str = ""  # that interpreter's, "3.11"
    path: str = PATH  # PATH of programs in it
    origin: str = ""  # what it was made from, for people


def build(tars: Sequence[Path], out: Path, *, ids: Ids | None = None, path: str = PATH, origin: str = "") -> Base:
    """Lay tars over each other, in their order, and pack what comes out as one layer.

    Args:
        tars: plain, or compressed by gzip or zstd; OCI's marks of removal are obeyed.
        out: the layer's file to write; nothing of it stays after an error.
        ids: this machine's way to user namespaces; found out if not given.
        path: PATH that its programs get.
        origin: what it is made from, for people.

    Raises:
        BadRequest: a tar is broken, or leads out of its folder.
        StorageFull: the disk is full.
    """
    ids = ids or userns.ids_for()
    place = Path(tempfile.mkdtemp(prefix=".base-", dir=out.parent))
    words: dict[str, Any] = {"tars": [str(tar) for tar in tars], "place": str(place), "out": str(out)}
    try:
        found = layer.helper("build", None if ids.root else ids, module="picloud.image.base", **words)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    finally:
        userns.remove_tree(place, ids)
    return msgspec.convert(found | {"path": path, "origin": origin}, Base)


def _build(ids: Ids | None, tars: list[str], place: str, out: str) -> dict[str, Any]:
    """In the process that does it: the folder becomes its root, so all that it needs later is opened first."""
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    os.chmod(place, 0o755)
    layout = unpack.Layout(single=ids is not None and ids.count == 1, over=True)
    with contextlib.ExitStack() as opened:
        files = [opened.enter_context(open(tar, "rb")) for tar in tars]
        target = opened.enter_context(open(out, "wb"))
        if ids:
            userns.enter(ids)
        unpack.enter_folder(folder)
        for file in files:
            with plain(file) as stream:
                _lay_out(layout, stream)
        for name, mode in FOLDERS.items():
            _folder(name, mode)
        packed = pack.pack([("", folder)], target)
        return packed._asdict() | facts(Path("/"))


def _lay_out(layout: unpack.Layout, stream: IO[bytes]) -> None:
    try:
        layout.read(stream)
        while stream.read(PIECE):  # the checksum comes last
            pass
    except (*unpack.BROKEN, *unpack.CROSSED, gzip.BadGzipFile) as error:
        raise BadRequest(f"this is not a whole tar of a file system: {error}") from error


def _folder(name: str, mode: int) -> None:
    if not os.path.isdir(name):
        os.mkdir(name)
        os.chmod(name, mode)


@contextlib.contextmanager
def plain(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """What a file holds, decompressed if it is compressed by gzip or zstd."""
    start = file.read(4)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        with gzip.open(file) as unzipped:
            yield cast(IO[bytes], unzipped)
    elif start == b"\x28\xb5\x2f\xfd":
        reader = zstandard.ZstdDecompressor(max_window_size=unpack.WINDOW).stream_reader(file, read_across_frames=True)
        with reader as unpacked:
            yield cast(IO[bytes], unpacked)
    else:
        yield file


def facts(root: Path) -> dict[str, str]:
    """Distribution and interpreter of a root file system, as fields of :class:`Base`; nothing in it is run."""
    python = next((found for found in PYTHONS if os.path.lexists(inside(root, found))), "")
    named = re.search(r"python(3\.\d+)$", _end(root, python))
    return {
        "distro": _distro(root),
        "python": python if named else "",
        "version": named[1] if named else "",
    }


def inside(root: Path, path: str) -> Path:
    """A path of a root file system as one of this machine."""
    return root / path.lstrip("/")


def _end(root: Path, path: str) -> str:
    """Where symbolic links lead, all seen from that root."""
    for _ in range(20):
        try:
            target = os.readlink(inside(root, path))
        except OSError:
            break
        path = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return path


def _distro(root: Path) -> str:
    for name in "usr/lib/os-release", "etc/os-release":
        if (root / name).is_file() and not (root / name).is_symlink():
            found = re.search(r'^PRETTY_NAME="?([^"\n]*)', (root / name).read_text(errors="replace"), re.MULTILINE)
            return found[1] if found else ""
    return ""


if __name__ == "__main__":
    sys.exit(layer.answer({"build": _build}, sys.argv[1:]))
