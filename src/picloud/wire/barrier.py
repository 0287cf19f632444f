"""What of a job's mounts may not be stored yet, in memory that those who serve them, the runner and the worker share.

Three numbers for each mount: handles that can write and failures that no close could tell; whether somebody who served it
has died while there were such; whether it is being mounted anew. So a job that left nothing open pays a look at it, and no
question. Who finds something open asks the mount to store everything (``STORE``, an ioctl of its folder); a job that finds a
mount away waits for it. Standard library only: runners load it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import weakref

STORE = ord("P") << 8 | 1
"""ioctl of a mount's folder: store all that is open, or fail. The answer: writes of shared memory that came since it was asked
last. Those may have overtaken it on their way out of the kernel, so whoever wants all asks until there were none."""


class Page:
    """The shared memory.

    Args:
        file: its descriptor; closed with it.
    """

    WIDTH = 3

    def __init__(self, file: int) -> None:
        self.numbers = memoryview(mmap.mmap(file, 0)).cast("q")
        self.file = file
        weakref.finalize(self, os.close, file)

    @classmethod
    def make(cls, mounts: int) -> Page:
        """A new one for so many mounts. Nobody who has its descriptor can take it from the others."""
        file = os.memfd_create("mounts", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(file, 8 * cls.WIDTH * mounts)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return cls(file)

    def show(self, mount: int, count: int) -> None:
        """So much of a mount may not be stored."""
        self.numbers[self.WIDTH * mount] = count

    def unstored(self, mount: int) -> bool:
        """Whether something may not be stored."""
        return bool(self.numbers[self.WIDTH * mount])

    def died(self, mount: int) -> None:
        """Who served a mount has ended; it is away until it :meth:`came <came>` back."""
        at = self.WIDTH * mount
        self.numbers[at + 2] = 1
        if self.numbers[at]:
            self.numbers[at], self.numbers[at + 1] = 0, 1

    def came(self, mount: int) -> None:
        """It is mounted."""
        self.numbers[self.WIDTH * mount + 2] = 0

    def away(self, mount: int) -> bool:
        """Whether it is not mounted for the moment."""
        return bool(self.numbers[self.WIDTH * mount + 2])

    def lost(self, mount: int) -> bool:
        """Whether something was open when who served it ended; told once."""
        at = self.WIDTH * mount + 1
        before, self.numbers[at] = self.numbers[at], 0
        return bool(before)
