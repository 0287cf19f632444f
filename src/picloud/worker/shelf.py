"""The code that a worker has fetched: functions and unpacked modules by digest, as files, bounded in bytes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from picloud.wire.message import Spec

ROOM = 512 << 20
"""Bytes of code kept at most, but for what jobs in hand need; what goes is fetched again when it is asked for."""


class Shelf:
    """Files of code in one folder.

    Args:
        folder: ours alone.
        room: bytes kept.
    """

    def __init__(self, folder: Path, room: int = ROOM) -> None:
        self.folder, self._room = folder, room
        self._sizes: dict[Path, int] = {}
        self._size = 0

    def places(self, spec: Spec) -> list[tuple[str, Path]]:
        """Digest and file (or folder of modules) of each part of a submission's code."""
        modules = [(digest, self.folder / digest) for digest in spec.modules]
        return [(spec.function, self.folder / f"{spec.function}.pkl"), *modules]

    def holds(self, spec: Spec) -> bool:
        """Whether all of it is here."""
        return all(place in self._sizes for _, place in self.places(spec))

    def note(self, spec: Spec, sizes: dict[Path, int]) -> None:
        """Code of this submission has been put in its place."""
        for _, place in self.places(spec):
            if place not in self._sizes and place in sizes:
                self._sizes[place] = sizes[place]
                self._size += sizes[place]

    @property
    def full(self) -> bool:
        """Whether something should go."""
        return self._size > self._room

    def trim(self, specs: Iterable[Spec], held: Iterable[Spec]) -> None:
        """Remove what was not used for longest, down to half the room.

        Args:
            specs: all that are known, the least recently used first.
            held: those of jobs in hand, whose code stays.
        """
        stays = {place for spec in held for _, place in self.places(spec)}
        used: dict[Path, None] = dict.fromkeys(self._sizes)
        for spec in specs:
            for _, place in self.places(spec):
                if place in used:
                    used[place] = used.pop(place)  # to the end
        for place in used:
            if self._size <= self._room // 2:
                return
            if place not in stays:
                self._size -= self._sizes.pop(place)
                remove(place)


def remove(place: Path) -> None:
    """Take code away in one move: nobody meets half of a set of modules."""
    if place.suffix == ".pkl":
        place.unlink(missing_ok=True)
        return
    away = place.with_name(f".{place.name}.{os.urandom(4).hex()}")
    if place.exists():
        place.rename(away)
        shutil.rmtree(away, ignore_errors=True)


def size(place: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if place.is_file():
        return place.stat().st_size
    return sum(os.stat(os.path.join(parent, name)).st_size for parent, _, names in os.walk(place) for name in names)
