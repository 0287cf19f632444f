"""Which rung of the ladder this machine allows, found by climbing it: a real sandbox is made, and programs run in it.

A   root: a range of ids for each account, owners mapped, control groups
B   not root: a range of subordinate ids
C   not root, one id: what jobs see is all the user's
D   no namespaces: no isolation
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from picloud.sandbox import cgroup, clear, kit, lacks, seccomp, userns
from picloud.sandbox.base import Limits, Sandbox
from picloud.sandbox.maker import BoxMaker, Setting
from picloud.wire.error import SetupError
from picloud.wire.image import Image

RUNGS = "ABCD"
PATIENCE = 20.0  # seconds for a program in the probe's sandbox
WORDS = {"A": "root", "B": "an ordinary user with a range of ids", "C": "an ordinary user with one id", "D": "no isolation"}
NAMESPACES = "sysctl -w user.max_user_namespaces=15000 (Debian: kernel.unprivileged_userns_clone=1)"
APPARMOR = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,` for bwrap and python"


class Feature(Struct, frozen=True):
    """Something that sandboxes use, as it was found here."""

    name: str
    ok: bool
    text: str
    remedy: str = ""


class Probe(Struct, frozen=True):
    """What this machine gives."""

    rung: str  # A to D
    features: list[Feature]
    seconds: float

    @property
    def missing(self) -> list[Feature]:
        return [feature for feature in self.features if not feature.ok]


class Climb:
    """One probing.

    Args:
        folder: of its own, removed by :meth:`close`; in the home, so that the same file system is tried.
        instance: the installation, for names of control groups.
        image: what jobs of the installation see by default.
        wanted: the rung to try alone; "" = from the best down.
    """

    def __init__(self, folder: Path, instance: str, image: Image, wanted: str = "") -> None:
        self._folder, self._instance, self._image, self._wanted = folder, instance, image, wanted
        self._began = time.monotonic()
        self._maker: BoxMaker | None = None
        self._sandbox: Sandbox | None = None
        self._told: list[str] = []  # why the rungs above failed
        self.rung = "D"

    def up(self) -> str:
        """Find the rung: the best on which ``true`` runs in a sandbox.

        Raises:
            SetupError: the wanted one does not work.
        """
        for rung in self._wanted or self._possible():
            if rung == "D" or self._stand(rung):
                self.rung = rung
                return rung
        if self._wanted:
            raise SetupError(
                f"rung {self._wanted} does not work here: {'; '.join(self._told) or 'it is not for this user'}",
                hint='set sandbox = "" in settings.toml for the best that does',
            )
        return self.rung

    def _possible(self) -> str:
        """The rungs that this user's ids allow."""
        ids = userns.ids_for()
        return "A" if ids.root else ("B" if ids.count > 1 else "") + ("C" if os.geteuid() else "")

    def _stand(self, rung: str) -> bool:
        setting = Setting(
            image=self._image,
            limits=Limits(),
            instance=self._instance,
            worker=f"probe-{os.urandom(5).hex()}",
            network=False,
            rung=rung,
        )
        clear.remove(self._folder)  # of one that was killed
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._maker = BoxMaker(setting, self._folder, [])
            self._sandbox = self._maker.make(self._folder / "slot")
            ended, said = self._run(["true"])
            if ended == 0:
                return True
            self._told.append(f"{rung}: true ended with {ended} {said}")
        except (SetupError, OSError) as error:
            self._told.append(f"{rung}: {error.parameter if isinstance(error, SetupError) else error}")
        self.close()
        return False

    def _run(self, argv: list[str]) -> tuple[int, str]:
        """Status of a program in the sandbox, and the end of what it printed."""
        assert self._sandbox is not None
        reading, writing = os.pipe()
        try:
            inside = self._sandbox.inside
            program = inside.start(argv, inside.environment(), {1: writing, 2: writing})
        finally:
            os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read().decode(errors="replace").strip()
        status = program.wait()
        program.close()
        return status, said[-300:]

    def close(self) -> None:
        """Leave nothing."""
        maker, sandbox, self._maker, self._sandbox = self._maker, self._sandbox, None, None
        if sandbox is not None:
            sandbox.end()
        if maker is not None:
            maker.close()
        clear.remove(self._folder)

    # -- features -------------------------------------------------------------------------------------------------

    def look(self) -> Probe:
        """Everything that sandboxes use; after :meth:`up`."""
        found = list(self._features())
        return Probe(self.rung, found, time.monotonic() - self._began)

    def _features(self) -> Iterator[Feature]:
        root = os.geteuid() == 0
        yield self._isolation()
        yield self._ids(root)
        yield _program("bubblewrap", "bwrap", "no namespaces: jobs are not isolated", "apt install bubblewrap")
        if self._sandbox is not None:
            yield self._python()
            yield Feature("overlay", True, "layers lie over each other" + (", owners mapped" if self.rung == "A" else ""))
        missing = lacks.network(root)
        yield Feature("network", False, missing.text, missing.remedy) if missing else Feature("network", True, "by slirp4netns")
        yield from self._groups()
        yield _filter()
        yield _device()
        yield _there("mmdebstrap", shutil.which("mmdebstrap") or "", "no root file systems by picloud env add-base", "mmdebstrap")
        sftp = next((one for one in kit.SFTP if os.path.exists(one)), "")
        yield _there("sftp-server", sftp, "no sftp and scp into jobs", "openssh-sftp-server")

    def _isolation(self) -> Feature:
        text = f"rung {self.rung}: {WORDS[self.rung]}"
        if self.rung in "AB" or self._wanted:
            return Feature("isolation", self.rung != "D", text)
        return Feature("isolation", self.rung != "D", f"{text} ({'; '.join(self._told)})", _advice())

    def _ids(self, root: bool) -> Feature:
        ids = userns.ids_for()
        if self._wanted == "C":
            return Feature("ids", True, "one alone, as the setting sandbox says")
        if ids.root:
            return Feature("ids", True, f"{userns.SPAN} of its own for each account, from {userns.FIRST} up")
        if ids.count > 1:
            enough = ids.count >= userns.SPAN
            text = f"{ids.count - 1} subordinate ones from {ids.base}"
            return Feature(
                "ids", enough, text if enough else f"{text}: too few for root file systems", "" if enough else _usermod()
            )
        if root:
            return Feature("ids", False, "root here is root of a part of the ids alone", "run picloud outside of this container")
        lacking = [name for name in ("newuidmap", "newgidmap") if shutil.which(name) is None]
        if lacking:
            return Feature("ids", False, f"one alone: {' and '.join(lacking)} missing", f"apt install uidmap; {_usermod()}")
        return Feature("ids", False, "one alone: no range in /etc/subuid and /etc/subgid", _usermod())

    def _python(self) -> Feature:
        python = self._image.python
        if not python:
            return Feature("interpreter", True, "the environment has none")
        code = kit.BOOT.format(f"{kit.PLACE}/kit") + "import cloudpickle, msgspec, cloud; print(cloudpickle.__file__)"
        try:
            status, said = self._run([python, "-P", "-c", code])
        except SetupError as error:
            status, said = 1, error.parameter
        if status == 0:
            return Feature("interpreter", True, f"{python} runs in a sandbox")
        return Feature("interpreter", False, f"jobs cannot use {python}: {said}", _readable(python))

    def _groups(self) -> Iterator[Feature]:
        found = cgroup.probe(self._instance)
        works = found.root.places if found.root else {}
        for name in ("memory", "cpu", "pids"):
            if name in works:
                yield Feature(f"cgroup {name}", True, f"version {works[name].version}")
            else:
                lack = next((one for one in found.lacks if one.controller == name), None)
                why = lack.why if lack else "not there"
                yield Feature(f"cgroup {name}", False, f"{_INSTEAD[name]} ({why})", lack.remedy if lack else "")


_INSTEAD = {
    "memory": "memory is watched several times a second instead",
    "cpu": "CPU time is shared by niceness instead",
    "pids": "processes are limited for each user id instead",
}


def probe(folder: Path, instance: str, image: Image, wanted: str = "") -> Probe:
    """All at once; see :class:`Climb`.

    Raises:
        SetupError: the wanted rung does not work.
    """
    climb = Climb(folder, instance, image, wanted)
    try:
        climb.up()
        return climb.look()
    finally:
        climb.close()


def _program(name: str, command: str, without: str, remedy: str) -> Feature:
    if shutil.which(command) is None:
        return Feature(name, False, f"{command} is missing: {without}", remedy)
    try:
        done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Feature(name, False, f"{command} does not run: {error}", remedy)
    return Feature(name, True, next(iter(done.stdout.splitlines()), "is there"))


def _there(name: str, path: str, without: str, package: str) -> Feature:
    return Feature(name, True, path) if path else Feature(name, False, f"missing: {without}", f"apt install {package}")


def _filter() -> Feature:
    kind = seccomp.machine()
    if kind in seccomp.CALLS:
        return Feature("system calls", True, f"a list for {kind}")
    return Feature("system calls", False, f"no list for {kind}: jobs may make every system call", "use x86_64 or aarch64")


def _device() -> Feature:
    missing = lacks.fuse()
    return Feature("fuse", False, missing.text, missing.remedy) if missing else Feature("fuse", True, lacks.FUSE)


def _usermod() -> str:
    """The command that gives this user a range: above those that others have."""
    import pwd

    taken = [userns.SPAN]
    for table in ("/etc/subuid", "/etc/subgid"):
        with contextlib.suppress(OSError, ValueError):
            rows = [line.split(":") for line in Path(table).read_text().splitlines()]
            taken += [int(row[1]) + int(row[2]) for row in rows if len(row) == 3]
    first = max(100_000, *taken)
    last = first + userns.SPAN - 1
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    return f"usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {name} (as root)"


def _advice() -> str:
    """What would allow user namespaces."""
    knob = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    with contextlib.suppress(OSError):
        if knob.read_text().strip() == "1":
            return APPARMOR
    if shutil.which("bwrap") is None:
        return "apt install bubblewrap uidmap slirp4netns"
    return NAMESPACES


def _readable(python: str) -> str:
    """What keeps others from an interpreter."""
    for folder in reversed(Path(os.path.realpath(python)).parents):
        with contextlib.suppress(OSError):
            if not folder.stat().st_mode & 0o001 and os.geteuid() != 0:
                return f"chmod o+x {folder}, or use a Python that others may read (now {sys.prefix})"
    return "use a Python that others may read: make the virtual environment from /usr/bin/python3"
