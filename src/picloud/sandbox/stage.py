"""Builds a sandbox's file system in a mount namespace of its own, step by step. Standard library only: the launcher runs it.

    ["mapped", source, name]            a folder of the host on the stage, its owners mapped into the sandbox's ids
    ["overlay", lowers, tops, place]    layers over each other; ``tops``: upper and work folder, or nothing
    ["show", source, place, fixed]      a folder or file at a place inside; ``fixed``: read-only
    ["tmpfs", place, mode]              an empty folder in memory
    ["link", target, place]             a symbolic link

Sources and lowers are paths of the host, or names on the stage. The stage is a small folder in memory that is shown, at
the end, where any user of the machine may go: the sandbox's root is nobody to the folders of the machine's root.
"""

from __future__ import annotations

import os
from typing import Any

from picloud.sandbox import system

DOORS = ("/mnt", "/media", "/srv", "/opt", "/home", "/tmp")
"""Where the finished stage may be shown: any folder that everybody may pass."""


class Stage:
    """The stage in the folder ``place``."""

    def __init__(self, place: str, users: int) -> None:
        self._place, self._users = place, users
        self._root = f"{place}/root"
        system.mount("", "/", "", system.MS_REC | system.MS_SLAVE)
        system.mount("picloud", place, "tmpfs", system.MS_NOSUID | system.MS_NODEV, "mode=755,size=1m")
        os.mkdir(self._root)

    def build(self, steps: list[list[Any]]) -> str:
        """Do all steps; the path of the sandbox's root."""
        for name, *rest in steps:
            getattr(self, f"_{name}")(*rest)
        door = next(one for one in DOORS if os.path.isdir(one) and not os.path.islink(one) and os.stat(one).st_mode & 1)
        system.mount(self._place, door, "", system.MS_BIND | system.MS_REC)
        return f"{door}/root"

    def _mapped(self, source: str, name: str) -> None:
        target = f"{self._place}/{name}"
        _make(source, target)
        system.bind_mapped(source, target, self._users)

    def _overlay(self, lowers: list[str], tops: list[str], place: str) -> None:
        options = "userxattr,lowerdir=" + ":".join(_escaped(self._source(one)) for one in lowers)
        if tops:
            options += f",upperdir={_escaped(tops[0])},workdir={_escaped(tops[1])}"
        system.mount("overlay", self._root + place, "overlay", system.MS_NODEV | system.MS_NOSUID, options)

    def _show(self, source: str, place: str, fixed: bool) -> None:
        source, target = self._source(source), self._root + place
        _make(source, target)
        system.bind(source, target, fixed=fixed)

    def _tmpfs(self, place: str, mode: str) -> None:
        flags = system.MS_NOSUID | system.MS_NODEV
        system.mount("picloud", self._root + place, "tmpfs", flags, f"mode={mode},size=16m")

    def _link(self, target: str, place: str) -> None:
        os.makedirs(os.path.dirname(self._root + place), exist_ok=True)
        os.symlink(target, self._root + place)

    def _source(self, name: str) -> str:
        return name if name.startswith("/") else f"{self._place}/{name}"


def _make(source: str, target: str) -> None:
    """A folder or file to mount on, where there is none."""
    if os.path.lexists(target):
        return
    if os.path.isdir(source):
        os.makedirs(target)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "x"):
        return


def _escaped(path: str) -> str:
    """As overlayfs reads its options."""
    for sign in ("\\", ":", ","):
        path = path.replace(sign, "\\" + sign)
    return path
