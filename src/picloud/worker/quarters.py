"""Where the runners of one slot live: its sandbox, from one runner to the next, with the door and the system log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from picloud.sandbox.base import Gauge, Journaled, Mounting, Sandbox
from picloud.wire.error import SetupError
from picloud.worker import journal, launch, surroundings
from picloud.worker.door import NAME, Door, Visit
from picloud.worker.launch import Launched
from picloud.worker.mounts import Mounts, Server, Shown
from picloud.worker.owner import Owner

log = logging.getLogger(__name__)


class Quarters:
    """See the module.

    Args:
        folder: of the slot.
        in_hand: the job for which its door opens; called in the door's threads.
        tell: writes a line into the Pi log of the job in hand; called on the loop.
    """

    def __init__(self, owner: Owner, folder: Path, in_hand: Callable[[], Visit | None], tell: Callable[[str], None]) -> None:
        self._owner, self._folder, self._in_hand, self._tell = owner, folder, in_hand, tell
        self.sandbox: Sandbox | None = None
        self.fit = True  # to be used again: its last runner left in order
        self.visited = False  # others than jobs have been here: it serves no further runner
        self._door: Door | None = None
        self._mounts: Mounts | None = None
        self._kills = 0  # processes that the kernel had killed here when that was asked last

    def launch(self) -> Launched:
        """A runner on its way, in a sandbox that is as good as new. Blocks; in a thread of the loop.

        Raises:
            SetupError: it could not be made.
        """
        owner, used = self._owner, self.sandbox
        sandbox = self.sandbox = launch.place(owner.maker, self._folder, used, self.fit and not self.visited)
        self.visited = False
        if sandbox is not used:
            if self._mounts is not None:
                self._mounts.end()  # before the door opens for the next job
            if self._door is not None:
                self._door.close()
            self._kills = 0
            self._door = Door(owner.order, sandbox, self._in_hand)
            launch.pipe_of_sessions(sandbox)
            self._show(sandbox)
        image = owner.order.image
        return launch.runner(sandbox, owner.feed.out.fileno(), owner.order.cores, bool(image and image.setup), self._mounts)

    def _show(self, sandbox: Sandbox) -> None:
        """Mount what its jobs shall see. Where that cannot be, the Pi log tells it, and jobs run without."""
        order = self._owner.order
        self._mounts = None
        if not isinstance(sandbox, Mounting) or not order.cache:
            return
        server = Server(order.url, sandbox.run / NAME, Path(order.cache))
        shown = [Shown("/bucket"), *(Shown(one.mount, one.name) for one in order.volumes if not one.host)]
        self._mounts = Mounts(self._owner.loop, sandbox, server, shown, self._tell)
        try:
            self._mounts.attach()
        except SetupError as error:
            log.warning("jobs have no /bucket: %s", error)

    def listen(self) -> None:
        """Take what was said for the Pi log of the job in hand."""
        if self._mounts is not None:
            self._mounts.listen()

    def end(self) -> None:
        """End the sandbox; waits for it."""
        sandbox, self.sandbox = self.sandbox, None
        if self._mounts is not None:
            self._mounts.end()
            self._mounts = None
        if self._door is not None:
            self._door.close()
            self._door = None
        if sandbox is not None:
            sandbox.end()

    @property
    def run(self) -> Path:
        """The folder that the runner and we share."""
        return self.sandbox.run if self.sandbox is not None else self._folder

    @property
    def kernel_limits(self) -> bool:
        """Whether the kernel sees to the memory limit, so that nobody has to look."""
        return self.sandbox is not None and self.sandbox.kernel_limits

    def gauge(self) -> Gauge | None:
        """What the sandbox has used and uses; None = nothing lives there any more."""
        found = self.sandbox.inside.gauge() if self.sandbox is not None else None
        return found if found != Gauge() else None

    def held(self) -> int:
        """Bytes of RAM that everything there holds now."""
        return self.sandbox.held() if self.sandbox is not None else 0

    def memory_ran_out(self) -> bool:
        """Whether the kernel has killed for lack of memory since this was asked last: here, or else on the host."""
        if self.sandbox is None or not self.sandbox.kernel_limits:
            return surroundings.kernel_killed()
        before, self._kills = self._kills, self.sandbox.oom_kills()
        return self._kills > before

    @property
    def log(self) -> int:
        """The descriptor of the system log; -1 where there is none."""
        return self.sandbox.journal.fileno() if isinstance(self.sandbox, Journaled) else -1

    def lines(self) -> Iterator[bytes]:
        """The lines of the system log that have come."""
        if isinstance(self.sandbox, Journaled):
            yield from journal.lines(self.sandbox.journal)

    def runs(self, pid: int) -> None:
        """The runner has this pid."""
        if isinstance(self.sandbox, Journaled):
            self.sandbox.runs(pid)


def ended(_: object, error: BaseException | None) -> None:
    """Quarters were given up; ``error``: what went wrong."""
    if error is not None:
        log.error("a sandbox did not end: %s", error)
