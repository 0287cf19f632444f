"""One sandbox of a :class:`picloud.sandbox.maker.BoxMaker`, from its start to its end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from picloud.sandbox import disk, kit, platform, proc, system
from picloud.sandbox.base import Gauge
from picloud.sandbox.box import Box
from picloud.sandbox.cgroup import Cgroup
from picloud.sandbox.layer import pack_layer
from picloud.wire.error import SetupError

if TYPE_CHECKING:
    from picloud.sandbox.maker import BoxMaker

START = 30.0  # seconds for a sandbox to come up
END = 10.0  # seconds for it to go
FULL = 0.99  # share of the processes and threads allowed from which on more are likely refused: nobody counts that but a cgroup


class BoxSandbox:
    """See :class:`picloud.sandbox.base.Sandbox`.

    Args:
        outer: pid and pidfd of the process that the sandbox ends with.
        journal: socket of its system log; readable when a line came.
    """

    here, home = kit.PLACE, "/home/picloud"
    folders: Sequence[str] = ("/tmp", "/var/tmp", "/dev/shm")
    kit = f"{kit.PLACE}/kit"

    def __init__(
        self,
        maker: BoxMaker,
        folder: Path,
        line: socket.socket,
        outer: tuple[int, int],
        group: Cgroup | None,
        journal: socket.socket,
    ) -> None:
        self._maker, self._folder, self._group = maker, folder, group
        self._outer, self._handle = outer
        self._lock, self._leaving = threading.Lock(), threading.Lock()
        self.run, self.journal = folder / "run", journal
        self.inside = Box(line, maker.shell(), self.gauge)
        image = maker.image
        self.python = [image.python] if image.python else platform.command(not image.host)  # ours runs programs
        self.kernel_limits = group is not None and "memory" in group.places
        self._runner = self._shim = 0
        self._shared = -1  # its /dev/shm, where the kernel does not count what is in it
        self._walk = disk.Walk([folder / name for name in ("home", "tmp", "vartmp", "upper")])

    def await_ready(self, errors: int) -> None:
        """Wait until the shim says that it is there; ``errors``: pipe with what went wrong.

        Raises:
            SetupError: with what the launcher or bubblewrap said.
        """
        try:
            self.inside.ready.result(START)
        except (OSError, TimeoutError) as error:
            select.select([errors], [], [], 1.0)
            said = os.read(errors, 4000).decode(errors="replace").strip() or str(error)
            self.end()
            raise SetupError(f"a sandbox could not be made: {said}", hint="see picloud doctor") from error
        finally:
            os.close(errors)

    def gauge(self) -> Gauge:
        """What the sandbox has used: memory and CPU time by its control group, the rest by /proc."""
        seen = proc.gauge(self._runner) if self._runner else None
        group = self._group
        if seen is None:
            return group.gauge() if group else Gauge()
        if most := self._maker.most():
            seen = structs.replace(seen, forks_refused=int(proc.tasks(self._runner) >= FULL * most))
        if group is None:
            return structs.replace(seen, **self._watched(seen))
        found = group.gauge()
        kept = {name: getattr(seen, name) for name in ("disk_read", "disk_written", "net_in", "net_out", "processes")}
        if "pids" not in group.places:
            kept["forks_refused"] = seen.forks_refused
        if "memory" not in group.places:
            kept |= self._watched(seen)
        if "cpuacct" not in group.places:
            kept |= {"cpu_user_us": seen.cpu_user_us, "cpu_system_us": seen.cpu_system_us}
        return structs.replace(found, **kept)

    def _watched(self, seen: Gauge) -> dict[str, int | None]:
        """Figures of memory that is watched: no request for it is refused."""
        return {"memory": self.held(), "swap": seen.swap, "refused": 0}

    def held(self) -> int:
        with self._lock:
            usage = os.fstatvfs(self._shared) if self._shared >= 0 else None
        files = (usage.f_blocks - usage.f_bfree) * usage.f_frsize if usage else 0
        return proc.memory(self._shim, files) if self._shim else 0

    def runs(self, pid: int) -> None:
        """The runner's pid, whose family is looked at in /proc; its parent is the shim, from which everything inside descends."""
        self._runner, self._shim = pid, proc.parent(pid)
        if self._shared < 0 and not self.kernel_limits:
            with contextlib.suppress(OSError):  # it has ended
                self._shared = os.open(f"/proc/{pid}/root/dev/shm", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def disk(self) -> int:
        """Bytes on disk that the sandbox holds."""
        return self._walk.look().bytes

    def pack(self, path: Path) -> str:
        """Write what a set-up job has changed as a layer to ``path``; its digest, "" where nothing was.

        Raises:
            StorageFull: there is no room for it.
            BadRequest: something that was changed cannot be in a layer.
        """
        packed = pack_layer(self._maker.view.uppers(self._folder), path, self._maker.ids)
        return packed.digest if packed.files else ""

    def mount(self, place: str, *, over: bool = False) -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        errors, told = os.pipe()
        try:
            with ours:
                try:
                    asked: dict[str, object] = {"mount": {"pid": self._inner(), "place": place, "over": over}}
                    _, handle = self._maker.ask(asked, [theirs.fileno(), told])
                finally:
                    theirs.close()
                    os.close(told)
                os.close(handle)
                ours.settimeout(START)
                _, devices = system.receive(ours, 16, 1)
            if not devices:
                said = os.read(errors, 4000).decode(errors="replace").strip() or "it ended"
                raise SetupError(f"{place} could not be mounted: {said}", hint="see picloud doctor")
        finally:
            os.close(errors)
        return devices[0]

    def _inner(self) -> int:
        """The first process inside, as the host numbers it: a child of bubblewrap that counts itself as 1."""
        for at in proc.family(self._outer):
            if proc.innermost(at) == 1 and at != self._outer:
                return at
        raise SetupError("the sandbox has ended", hint="see worker.log")

    def oom_kills(self) -> int:
        group = self._group
        return group.oom() if group else 0

    def reusable(self) -> bool:
        return self.inside.alive and self.inside.alone()

    def strike(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._handle >= 0:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def end(self) -> None:
        self.inside.close()
        self.strike()
        self.let_go()
        self._maker.remove(self._folder)
        self._maker.ended(self)

    def let_go(self) -> None:
        """Wait until everything inside has ended, and close what is left; its slot and its maker may come at once."""
        with self._leaving:
            if self._handle < 0:
                return
            select.select([self._handle], [], [], END)
            with self._lock:
                os.close(self._handle)
                self._handle = -1
                if self._shared >= 0:
                    os.close(self._shared)
                    self._shared = -1
            self.journal.close()
            self._walk.close()
            group, self._group = self._group, None
            if group is not None:
                group.kill()
                group.remove()
