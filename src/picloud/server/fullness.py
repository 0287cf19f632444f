"""How full the disks are that an installation writes to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from msgspec import Struct

from picloud.settings import GIB, Settings
from picloud.store.files import folder_of


class Disk(Struct, frozen=True):
    """One disk, as ``df`` shows it."""

    folder: str  # of ours on it
    total: int  # bytes
    free: int  # that we may use
    full: float  # share in use, 0 to 1

    def told(self) -> str:
        """In words."""
        return f"{self.full:.0%} of the disk of {self.folder} is in use, {self.free / GIB:.1f} GiB are free"


def disks(settings: Settings) -> list[Disk]:
    """The disk of the home, and that of the larger values where it is another one."""
    home = Path(settings.home)
    folders = [home, folder_of(settings.blobs, home / "blob") or home]
    found: dict[int, Disk] = {}
    for folder in folders:
        there = next(path for path in (folder, *folder.parents) if path.is_dir())
        usage = shutil.disk_usage(there)
        share = usage.used / max(usage.used + usage.free, 1)
        found.setdefault(os.stat(there).st_dev, Disk(str(folder), usage.total, usage.free, round(share, 4)))
    return list(found.values())


def warnings(settings: Settings) -> list[str]:
    """A line for each disk that is fuller than ``warn_disk``."""
    return [disk.told() for disk in disks(settings) if settings.warn_disk and disk.full >= settings.warn_disk]
