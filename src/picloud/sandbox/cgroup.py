"""Control groups of sandboxes: limits, figures, and an end for everything inside. v1 and v2 behind one face.

All groups of an installation are siblings, ``picloud-<instance>/<name>`` in each tree: shares of CPU time are only compared among
siblings. Figures are read from descriptors that stay open, some 30 microseconds for all of them.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from picloud.sandbox import hierarchy
from picloud.sandbox.base import Limits
from picloud.sandbox.group import Cgroup as Cgroup
from picloud.sandbox.group import rmdir
from picloud.sandbox.hierarchy import Lack as Lack
from picloud.sandbox.hierarchy import Place
from picloud.wire.error import SetupError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PROBING, _PROBE_SECONDS = "probe-", 60  # an older one was left behind
ATTEMPTS = 5
_PROBE = Limits(memory=1 << 26, units=1000, pids=16)


class Found(NamedTuple):
    """What :func:`probe` found."""

    root: Root | None
    lacks: list[Lack]


class Root:
    """The groups of one installation.

    Attributes:
        places: where each controller that works has its groups.
        lacks: the controllers that do not work, why, and what helps.
    """

    def __init__(self, instance: str, places: Mapping[str, Place], lacks: list[Lack] | None = None) -> None:
        if not _NAME.fullmatch(instance):
            raise ValueError(f"not a name for control groups: {instance!r}")
        self.places, self.lacks = dict(places), lacks or []
        self._inner = f"picloud-{instance}"

    def create(self, name: str, limits: Limits) -> Cgroup:
        """Make a group with its limits.

        Raises:
            ValueError: ``name`` is not 1 to 63 letters, digits, dots, underscores and hyphens.
            SetupError: the kernel refuses, or there is such a group.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name for a control group: {name!r}")
        made: list[Path] = []
        group: Cgroup | None = None
        try:
            for folder in self._folders():
                self._make(folder, name)
                made.append(folder / name)
            group = Cgroup(name, self._at(name))
            group.limit(limits)
        except OSError as error:
            if group:
                group.close()
            for folder in made:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            hint = "picloud doctor"
            raise SetupError(f"no control group for a sandbox: {error}", hint=hint, errno=error.errno) from error
        return group

    def names(self) -> list[str]:
        """The groups that are there, those of other processes of the installation among them; sorted."""
        found: set[str] = set()
        for folder in self._folders():
            with contextlib.suppress(FileNotFoundError):
                found |= {entry.name for entry in folder.iterdir() if entry.is_dir()}
        return sorted(found)

    def sweep(self, keep: Collection[str] | Callable[[str], bool], *, probes: bool = False) -> list[str]:
        """Kill and remove the groups that former processes left behind.

        Args:
            keep: names of those that stay; or whether a group stays, asked after the groups were listed: a name that is locked
                before its group is made is thus never taken from a process that starts just now.
            probes: those of probes too, however young: no process of the installation lives.

        Returns:
            the names of the removed.
        """
        stays = keep if callable(keep) else keep.__contains__
        gone = []
        for name in self.names():
            if not stays(name) and (probes or not self._probing(name)):
                group = Cgroup(name, self._at(name))
                group.kill()
                if group.remove():
                    gone.append(name)
                else:
                    group.close()
        return gone

    def remove(self) -> bool:
        """Remove the folders of the installation; False while there are groups in them."""
        return rmdir(self._folders())

    def _probing(self, name: str) -> bool:
        """It is the probe of a process that starts just now."""
        if not name.startswith(_PROBING):
            return False
        with contextlib.suppress(FileNotFoundError):
            return any(time.time() - (folder / name).stat().st_ctime < _PROBE_SECONDS for folder in self._folders())
        return False

    def _at(self, name: str) -> dict[str, Place]:
        return {kind: Place(place.version, place.folder / self._inner / name) for kind, place in self.places.items()}

    def _folders(self) -> list[Path]:
        """The installation's folder in each tree."""
        return [folder / self._inner for folder in dict.fromkeys(place.folder for place in self.places.values())]

    def _make(self, folder: Path, name: str) -> None:
        """Make a group in a tree; its folder may be removed meanwhile, by a process that saw it empty."""
        for attempt in range(ATTEMPTS):
            try:
                self._prepare(folder)
                return (folder / name).mkdir()
            except FileNotFoundError:
                if attempt == ATTEMPTS - 1:
                    raise

    def _prepare(self, folder: Path) -> None:
        """Make the installation's folder in a tree, ready for groups."""
        folder.mkdir(exist_ok=True)
        here = {kind for kind, place in self.places.items() if place.folder == folder.parent}
        if any(self.places[kind].version == 2 for kind in here):
            hierarchy.switch_on(folder, here - {"cpuacct"})
        elif "memory" in here:
            with contextlib.suppress(OSError):  # newer kernels always do, and refuse the question once there are children
                (folder / "memory.use_hierarchy").write_text("1")


def probe(instance: str, mounts: str | Path = "/proc/self/mountinfo", own: str | Path = "/proc/self/cgroup") -> Found:
    """Find out, by making a group with limits, which controllers this process may use. Takes a few milliseconds.

    Args:
        instance: the installation's name among those of this machine.
        mounts: this process's mount table.
        own: the groups that this process is in.

    Raises:
        ValueError: ``instance`` is not 1 to 63 letters, digits, dots, underscores and hyphens.
    """
    try:
        places, lacks = hierarchy.places(Path(mounts), Path(own))
    except OSError as error:
        places, lacks = {}, [Lack("memory", f"cannot read where controllers are mounted: {error}", "mount /proc")]
    works: dict[str, Place] = {}
    for kind, place in places.items():
        try:
            _try(Root(instance, {kind: place}))
            works[kind] = place
        except SetupError as error:
            cause = error.__cause__
            assert isinstance(cause, OSError)
            lacks.append(hierarchy.explain(kind, place, cause))
    return Found(Root(instance, works, lacks) if works else None, lacks)


def find(instance: str) -> Root | None:
    """The place for an installation's groups with the controllers that work; None if there are none. See :func:`probe`."""
    return probe(instance).root


def _try(root: Root) -> None:
    try:
        root.create(f"{_PROBING}{os.urandom(6).hex()}", _PROBE).remove()
    finally:
        root.remove()
