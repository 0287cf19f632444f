"""What takes room in an installation, and the sweep that an operator asks for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from picloud.sandbox.disk import used
from picloud.sandbox.layer import Layers
from picloud.server.backup import SQLITE, database_of
from picloud.server.fullness import Disk, disks
from picloud.server.janitor import UNUSED_MS
from picloud.server.storage import now_ms
from picloud.store import code, layer, space
from picloud.wire.error import CloudException

if TYPE_CHECKING:
    from picloud.server.control import Control

log = logging.getLogger("picloud.collection")

ENTRIES, SECONDS = 500_000, 3.0
"""Files of a cache that are looked at, and how long; of more, that it is more is said."""


class Place(Struct):
    """Something of the whole installation that takes room."""

    what: str
    place: str
    bytes: int
    whole: bool = True  # False: at least so many


class Space(Struct):
    """What takes room."""

    accounts: list[space.Taken]
    places: list[Place]
    disks: list[Disk]


class Plan(Struct):
    """What a sweep takes."""

    payloads: int
    payload_bytes: int
    large_bytes: int  # of theirs, which only begin their wait
    jobs: int
    code: int
    code_bytes: int
    condemned: int
    condemned_bytes: int
    blobs: int
    blob_bytes: int
    layers: int
    layer_bytes: int


class Collection:
    """The operator's own look at what the janitor does by itself."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._home = Path(control.settings.home)
        self._sweeping = False
        self.trouble = ""  # of the last sweep

    @property
    def running(self) -> bool:
        """Whether a sweep that was asked for is under way."""
        return self._sweeping

    async def space(self) -> Space:
        """What takes room now."""
        storage = self._control.storage
        taken, stored = await storage.read(space.taken), await storage.read(space.stored)
        url = database_of(self._control.settings)
        places = [Place("large values", self._control.settings.blobs or str(self._home / "blob"), stored)]
        size = await asyncio.to_thread(space.database, url)
        if size is not None:
            places.insert(0, Place("database", str(self._home / SQLITE), size))
        places += await asyncio.to_thread(self._caches)
        return Space(taken, places, await asyncio.to_thread(disks, self._control.settings))

    def _caches(self) -> list[Place]:
        """Unpacked layers, work folders, logs, and what migrations kept."""
        known = [("unpacked layers", "layers"), ("workers' folders", "work"), ("probe of the sandbox", "probe")]
        found = [_measured(what, [self._home / name], self._home / name) for what, name in known]
        copies = sorted(self._home.glob(f"{SQLITE}.before-*"))
        found += [_measured("database before an upgrade", [copy], copy) for copy in copies]
        found.append(_measured("server log", [self._home / "server.log"], self._home / "server.log"))
        return [one for one in found if one.bytes]

    async def plan(self) -> Plan:
        """What a sweep would take now."""
        settings, storage, now = self._control.settings, self._control.storage, now_ms()
        before = [now - int(seconds * 1000) for seconds in (settings.keep_payloads, settings.keep_jobs, settings.keep_unused)]
        found = await storage.read(space.overdue, *before)
        _, loose = await self._control.janitor.loose_code()
        pieces, size = await storage.read(code.size, loose, now - UNUSED_MS)
        folders = await self._loose_layers()
        taken = await asyncio.to_thread(used, folders, ENTRIES, SECONDS)
        return Plan(found.payloads, found.payload_bytes, found.large_bytes, found.jobs, pieces, size, found.condemned,
                    found.condemned_bytes, found.blobs, found.blob_bytes, len(folders), taken.bytes)  # fmt: skip

    async def _loose_layers(self) -> list[Path]:
        place = self._home / "layers"
        if not place.is_dir():
            return []
        kept = await self._control.storage.read(layer.every)
        return await asyncio.to_thread(lambda: Layers(place).loose(kept))

    def begin(self) -> None:
        """Begin to sweep, unless that is under way."""
        if not self._sweeping:
            self._sweeping, self.trouble = True, ""
            self._control.spawn(self._sweep())

    async def _sweep(self) -> None:
        try:
            await self._control.janitor.sweep()
        except CloudException as error:
            self.trouble = str(error)
        except Exception as error:
            log.exception("the sweep failed")
            self.trouble = f"{type(error).__name__}: {error}"
        finally:
            self._sweeping = False


def _measured(what: str, parts: Iterable[Path], place: Path) -> Place:
    if place.is_file():
        return Place(what, str(place), place.stat().st_size)
    found = used(parts, ENTRIES, SECONDS)
    return Place(what, str(place), found.bytes, found.whole)
