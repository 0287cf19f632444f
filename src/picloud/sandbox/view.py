"""What a sandbox shows: from an image to mounts and to bubblewrap's words.

A root file system is one overlay of its layers. ``base/host`` is an allow-list in pieces: /usr, /opt, the package database
and the interpreter's folders at their own paths, and /etc without what is not for everybody. A layer over it lies over the
root and over each piece that it changed. In set-up sandboxes each overlay has a writable top.

    cover       made by us, above everything: passwd, group with the job's user
    layers      the environment's, the newest first
    mask        hides what of the host's /etc is not world-readable
    skeleton    below everything: the folders on which the rest is mounted
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from picloud.sandbox import platform
from picloud.wire.image import Image

USER = "picloud"
HOME = "/home/picloud"
RUN = "/run/picloud"
JOB = 1000  # uid and gid of the job's user inside
FOLDERS = (
    "proc", "dev", "run", "tmp", "var/tmp", "var/log", "var/lib", "var/cache/apt/archives/partial",
    "var/lib/apt/lists/partial", "home/picloud", "bucket", "root", "mnt", "srv", "opt", "etc", "sys/devices/system/cpu",
)  # fmt: skip
OWN = {"tmp": "/tmp", "vartmp": "/var/tmp", "home": HOME, "run": RUN}
"""Folders of a slot, and where its sandbox shows them."""
PIECES = ("usr", "etc", "var/lib/dpkg")
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
MASKED = 20_000  # entries of /etc that are looked at


Step = list[Any]
"""One thing that the launcher does: its name, then its arguments; see ``picloud.sandbox.stage``."""


class View:
    """The view of one worker's sandboxes.

    Args:
        image: what they show.
        folder: where skeleton, mask and cover are made, once.
        layers: the image's unpacked layers, the lowest first.
        base: on a root host, the first id of the account's range; else 0.
        root: whether we are the machine's root, who may map owners.
        cores: what programs are told that they have.
        places: further folders to mount on.
    """

    def __init__(
        self, image: Image, folder: Path, layers: list[Path], base: int, root: bool, cores: int, places: Sequence[str] = ()
    ) -> None:
        self._image, self._folder, self._layers, self._base, self._root = image, folder, layers, base, root
        self._pieces = _host_pieces(image) if image.host else []
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._skeleton(cores, places)
        if image.host:
            _mask(Path("/etc"), folder / "mask")
            self._sources = {"etc": _copy(Path("/etc"), folder / "etc")} if not root and _crowded("/etc") else {}
        self._cover()
        self._give(folder)

    # -- folders of ours ------------------------------------------------------------------------------------------

    def _skeleton(self, cores: int, wanted: Sequence[str]) -> None:
        top = self._folder / "skeleton"
        places = [*FOLDERS, *self._pieces, *wanted, *(self._image.folders if self._image.host else [])]
        for place in places:
            (top / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for name in ("hosts", "resolv.conf"):  # ours are shown there, also where the image has none
            (top / "etc" / name).touch()
        for name in ("online", "possible", "present"):  # what libc answers to "how many processors"
            (top / "sys/devices/system/cpu" / name).write_text(f"0-{cores - 1}\n" if cores > 1 else "0\n")
        for name in MERGED if self._image.host else ():
            if os.path.islink(f"/{name}") and not (top / name).is_symlink():
                (top / name).symlink_to(os.readlink(f"/{name}"))

    def _cover(self) -> None:
        place = self._folder / "cover" / "etc"
        place.mkdir(parents=True, exist_ok=True)
        sources = [layer / "etc" for layer in reversed(self._layers)] + ([Path("/etc")] if self._image.host else [])
        for name, line in (("passwd", f"{USER}:x:{JOB}:{JOB}:PiCloud job:{HOME}:/bin/bash"), ("group", f"{USER}:x:{JOB}:")):
            lines = _first(sources, name).splitlines() or ["root:x:0:0:root:/root:/bin/sh" if name == "passwd" else "root:x:0:"]
            kept = [one for one in lines if one.split(":")[2:3] != [str(JOB)] and not one.startswith(f"{USER}:")]
            (place / name).write_text("\n".join([*kept, line]) + "\n")

    def _give(self, top: Path) -> None:
        """To the namespace's root, so that set-up jobs may change what they see of it."""
        if self._root:
            for folder, _, files in os.walk(top):
                os.chown(folder, self._base, self._base)
                for name in files:
                    os.chown(Path(folder, name), self._base, self._base, follow_symlinks=False)

    # -- the mounts of one sandbox --------------------------------------------------------------------------------

    def steps(self, slot: Path, shared: dict[str, str], files: dict[str, str]) -> list[Step]:
        """What the launcher does for the sandbox in the folder ``slot``.

        Args:
            shared: place below /run/picloud -> folder or file of the host, shown there read-only.
            files: name in /etc -> file of the host that is shown there.
        """
        made: list[Step] = []
        layers = [self._mapped(made, layer, f"l{n}") for n, layer in enumerate(self._layers)][::-1]
        cover, skeleton = str(self._folder / "cover"), str(self._folder / "skeleton")
        if self._image.host:
            self._overlay(made, slot, "", [*layers, skeleton])
            for piece in self._pieces:
                self._piece(made, slot, piece.lstrip("/"), layers)
        else:
            self._overlay(made, slot, "", [cover, *layers, skeleton])
        made.append(["tmpfs", "/run", "755"])
        made += [["show", f"{slot}/{name}", place, False] for name, place in OWN.items()]
        made += [["show", source, f"{RUN}/{place}", True] for place, source in shared.items()]
        made += [["show", source, f"/etc/{name}", True] for name, source in files.items()]
        if self._image.host:
            made += [["show", self._mapped(made, Path(one), f"f{n}"), one, True] for n, one in enumerate(self._image.folders)]
        else:
            made += platform.steps()
        return made

    def _piece(self, made: list[Step], slot: Path, piece: str, layers: list[str]) -> None:
        pairs = zip(layers, reversed(self._layers), strict=True)
        changed = [f"{layer}/{piece}" for layer, real in pairs if (real / piece).is_dir()]
        source = self._mapped(made, self._sources.get(piece, Path("/", piece)), "h-" + piece.replace("/", "-"))
        if piece == "etc":
            changed = [str(self._folder / "cover/etc"), *changed, str(self._folder / "mask")]
        if changed or self._writable(piece):
            self._overlay(made, slot, piece, [*changed, source])
        else:
            made.append(["show", source, f"/{piece}", True])

    def _writable(self, piece: str) -> bool:
        """Whether a set-up job may change it: what belongs to the machine's root only where we are root too."""
        return bool(self._image.setup) and (not piece or (self._root and piece in PIECES))

    def _overlay(self, made: list[Step], slot: Path, piece: str, lowers: list[str]) -> None:
        name = piece.replace("/", "-") or "root"
        upper, work = slot / "upper" / name, slot / "work" / name
        writable = self._writable(piece)
        for one in (upper, work) if writable else ():
            one.mkdir(parents=True, exist_ok=True)
            if self._root:
                os.chown(one, self._base, self._base)
        if len(lowers) == 1 and not writable:
            made.append(["show", lowers[0], f"/{piece}", True])
        else:
            tops = [str(upper), str(work)] if writable else []
            made.append(["overlay", lowers, tops, f"/{piece}"])

    def _mapped(self, made: list[Step], source: Path, name: str) -> str:
        """A folder with its owners as the sandbox counts them: its path, or its name on the stage."""
        if not self._root:
            return str(source)
        made.append(["mapped", str(source), name])
        return name

    def uppers(self, slot: Path) -> list[tuple[str, Path]]:
        """The writable folders of a set-up sandbox, each with the path that it lies over (without the first slash)."""
        places = {"root": ""} | {piece.lstrip("/").replace("/", "-"): piece.lstrip("/") for piece in self._pieces}
        return [(places[one.name], one) for one in sorted((slot / "upper").iterdir()) if one.name in places]


def _host_pieces(image: Image) -> list[str]:
    found = ["/usr", "/etc", "/var/lib/dpkg"]
    found += [f"/{name}" for name in MERGED if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}")]
    found += (
        sorted(f"/opt/{name}" for name in os.listdir("/opt") if os.path.isdir(f"/opt/{name}")) if os.path.isdir("/opt") else []
    )
    return [one for one in found if os.path.isdir(one)]


def _mask(host: Path, mask: Path) -> None:
    """Whiteouts for everything below ``host`` that not every user of the machine may read."""
    mask.mkdir(parents=True, exist_ok=True)
    seen = 0
    for folder, folders, files in os.walk(host):
        place = mask / Path(folder).relative_to(host)
        for name in [*files, *folders]:
            seen += 1
            path = Path(folder, name)
            if seen > MASKED:
                return
            mode = os.lstat(path).st_mode
            wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
            if stat.S_ISLNK(mode) or mode & wanted == wanted:
                continue
            place.mkdir(parents=True, exist_ok=True)
            if name in folders:
                folders.remove(name)
            if not os.path.lexists(place / name):
                os.mknod(place / name, stat.S_IFCHR | 0o000, os.makedev(0, 0))


def _crowded(place: str) -> bool:
    """Whether something is mounted below a folder: only the machine's root may then lay layers over it."""
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    return any(line.split(" ", 5)[4].startswith(f"{place}/") for line in lines)


def _copy(host: Path, copy: Path) -> Path:
    """A copy of what every user of the machine may read below ``host``."""
    for folder, folders, files in os.walk(host):
        place = copy / Path(folder).relative_to(host)
        place.mkdir(exist_ok=True, parents=True)
        for name in [*files, *folders]:
            path = Path(folder, name)
            with contextlib.suppress(OSError):
                mode = os.lstat(path).st_mode
                if stat.S_ISLNK(mode) and not os.path.lexists(place / name):
                    (place / name).symlink_to(os.readlink(path))
                elif stat.S_ISREG(mode) and mode & stat.S_IROTH:
                    shutil.copy(path, place / name)
    return copy


def _first(folders: list[Path], name: str) -> str:
    for folder in folders:
        if (folder / name).is_file():
            return (folder / name).read_text(errors="replace")
    return ""
