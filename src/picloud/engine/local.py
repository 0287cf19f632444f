"""Workers as processes of this machine: started in a session of their own, watched by pidfd, cleared after their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from picloud.engine import process
from picloud.engine.base import Capacity, Order, Placement, host_cores, host_memory
from picloud.sandbox import clear
from picloud.sandbox.maker import group_prefix
from picloud.settings import Settings
from picloud.wire.error import Unavailable

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "picloud.worker")
"""``-P``: the folder a server happens to run in is no place to import from."""

LOG = "worker.log"
CONTROL = "control"
"""File in a worker's folder: the URL of the server that took over; see :mod:`picloud.worker.order`."""

_PRIVATE = ("PICLOUD_API_KEY", "PICLOUD_API_SECRETKEY", "PICLOUD_URL")
"""Never passed on: a worker has a credential of its own, and a job acts as its owner, not as the server's."""
_KEYS = ("AWS_", "AZURE_", "GOOGLE_")
"""Beginnings of what is not passed on either: the keys to where blobs rest are the server's alone."""

_DEFAULT_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGCHLD)


class _Watched(Struct):
    """A worker in our care."""

    placement: Placement
    handle: int  # pidfd
    child: bool  # we started it, so its exit code is ours to collect
    ended: asyncio.Event


class LocalEngine:
    """See :class:`picloud.engine.base.Engine`.

    Args:
        settings: of the installation; ``home``, ``units_per_core`` and ``memory_reserve`` are used.
        on_exit: called with (incarnation, evidence) when a watched worker ends.
        command: the worker program, for tests.
    """

    def __init__(self, settings: Settings, on_exit: Callable[[str, str], None], command: Sequence[str] = COMMAND) -> None:
        self.on_exit = on_exit
        self._settings = settings
        self._command = list(command)
        self._home = Path(settings.home)
        self._instance = process.instance(self._home)
        self._boot = boot()
        self._watched: dict[str, _Watched] = {}
        self._cleaning: dict[str, asyncio.Task[None]] = {}

    async def start(self, order: Order) -> Placement:
        """Start a worker in a new session, the order on its standard input, its output in ``<folder>/worker.log``."""
        folder = Path(order.folder)
        try:
            pid = self._spawn(order, folder)
        except OSError as error:
            raise Unavailable(f"cannot start a worker: {error}", hint="see picloud doctor") from error
        placement = Placement(order.incarnation, pid, process.started(pid) or 0, self._boot)
        self._watch(placement, os.pidfd_open(pid), child=True)
        return placement

    async def stop(self, placement: Placement, grace: float, drain: float = 0.0) -> None:
        """Wait ``drain`` seconds, SIGTERM, ``grace`` seconds, SIGKILL; returns when nothing of the worker is left."""
        if placement.incarnation not in self._watched and not await self.adopt(placement):
            await self._clean(placement.incarnation)
            return
        watched = self._watched[placement.incarnation]
        for seconds, then in ((drain, signal.SIGTERM), (grace, signal.SIGKILL)):
            if not await _within(seconds, watched.ended):
                signal.pidfd_send_signal(watched.handle, then)
        await watched.ended.wait()
        if placement.incarnation in self._cleaning:
            await self._cleaning[placement.incarnation]

    async def adopt(self, placement: Placement) -> bool:
        """Watch a worker again if pid, start time, boot and marker are all still its own."""
        if placement.incarnation in self._watched:
            return True
        if placement.host != self._boot:
            return False
        try:
            handle = os.pidfd_open(placement.pid)
        except ProcessLookupError:
            return False
        same = process.alive(placement.pid, placement.started)
        if not same or process.environment(placement.pid).get(process.WORKER) != placement.incarnation:
            os.close(handle)
            return False
        self._watch(placement, handle, child=False)
        return True

    async def point(self, placement: Placement, url: str) -> None:
        """Write the address into the worker's folder, where it looks before each attempt to connect."""
        folder = self._folder(placement.incarnation)
        temporary = folder / f".{CONTROL}"
        try:
            temporary.write_text(url)
            temporary.replace(folder / CONTROL)
        except OSError as error:
            log.warning("worker %s was not told where the server is: %s", placement.incarnation, error)

    async def sweep(self) -> None:
        """Kill processes and remove folders of workers that are not watched."""
        await asyncio.to_thread(self._sweep, set(self._watched))

    def capacity(self) -> Capacity:
        """This machine's cores, its RAM less the reserve, and the compute units its cores give."""
        cores = host_cores()
        memory = max(host_memory() - self._settings.memory_reserve, 0)
        return Capacity(cores, memory, cores * self._settings.units_per_core)

    async def close(self) -> None:
        """Stop watching; the workers live on."""
        for watched in self._watched.values():
            self._unwatch(watched)
        self._watched.clear()
        await asyncio.gather(*self._cleaning.values())

    # -- starting ------------------------------------------------------------------------------------------------

    def _spawn(self, order: Order, folder: Path) -> int:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reading, writing = os.pipe()
        os.write(writing, msgspec.json.encode(order) + b"\n")
        os.close(writing)
        try:
            return os.posix_spawn(
                self._command[0],
                self._command,
                self._environment(order.incarnation),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, reading, 0),
                    (os.POSIX_SPAWN_OPEN, 1, str(folder / LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=_DEFAULT_SIGNALS,
            )
        finally:
            os.close(reading)

    def _environment(self, incarnation: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _PRIVATE and not name.startswith(_KEYS)}
        return kept | {process.INSTANCE: self._instance, process.WORKER: incarnation}

    # -- watching ------------------------------------------------------------------------------------------------

    def _watch(self, placement: Placement, handle: int, *, child: bool) -> None:
        self._watched[placement.incarnation] = _Watched(placement, handle, child, asyncio.Event())
        asyncio.get_running_loop().add_reader(handle, self._ended, placement.incarnation)

    def _unwatch(self, watched: _Watched) -> None:
        asyncio.get_running_loop().remove_reader(watched.handle)
        os.close(watched.handle)

    def _ended(self, incarnation: str) -> None:
        watched = self._watched.pop(incarnation)
        self._unwatch(watched)
        evidence = _evidence(watched)
        log.info("worker %s (pid %d): %s", incarnation, watched.placement.pid, evidence)
        cleaning = asyncio.get_running_loop().create_task(self._clean(incarnation))
        self._cleaning[incarnation] = cleaning
        cleaning.add_done_callback(lambda _: self._cleaning.pop(incarnation, None))
        watched.ended.set()
        self.on_exit(incarnation, evidence + (self._last_words(incarnation) if evidence.startswith("exited") else ""))

    def _last_words(self, incarnation: str) -> str:
        """The last line a worker wrote before it ended, since its log goes with its folder."""
        try:
            with open(self._folder(incarnation) / LOG, "rb") as file:
                file.seek(max(os.fstat(file.fileno()).st_size - 4096, 0))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return f"; its last line: {lines[-1].strip()[:300]}" if lines else ""

    # -- clearing ------------------------------------------------------------------------------------------------

    def _folder(self, incarnation: str) -> Path:
        return self._home / "work" / incarnation

    async def _clean(self, incarnation: str) -> None:
        await asyncio.to_thread(self._clear, incarnation)

    def _clear(self, incarnation: str) -> None:
        """Everything a worker may leave: first the processes, which may still be writing, then the folder."""
        killed = process.kill_marked(process.of_worker(self._home, incarnation))
        killed += clear.kill(self._home / "work", incarnation.__eq__)
        if killed:
            log.info("worker %s left %d processes: killed", incarnation, killed)
        clear.groups_of(self._instance, incarnation)
        remove_tree(self._folder(incarnation))
        remove_tree(process.shelter(self._home, incarnation))

    def _sweep(self, keep: set[str]) -> None:
        owners = {self._owner(process.environment(pid)) for pid in process.marked(process.of_home(self._home))}
        with contextlib.suppress(FileNotFoundError):
            owners |= set(os.listdir(self._home / "work"))
        owners |= {worker for _, worker in clear.sandboxed(self._home / "work")}
        for incarnation in owners - keep - {""}:
            self._clear(incarnation)
        kept = {group_prefix(incarnation) for incarnation in keep}
        clear.groups(self._instance, lambda prefix: prefix not in kept)

    def _owner(self, environment: dict[str, str]) -> str:
        """The worker that a process of ours belongs to; "" for the server itself."""
        door = environment.get(process.DOOR, "")
        for place in (f"{self._home / 'work'}/", str(process.shelter(self._home, ""))):
            door = door.removeprefix(place)
        return environment.get(process.WORKER) or ("" if door.startswith("/") else door.partition("/")[0])


def living(home: Path) -> set[str]:
    """The incarnations whose worker process runs on this machine, for whoever is about to end them without their server."""
    found = set()
    for pid in process.marked(process.of_home(home)):
        if os.fsencode(COMMAND[-1]) in process.command(pid):
            found.add(process.environment(pid).get(process.WORKER, ""))
    return found - {""}


def clear_all(home: Path) -> int:
    """Clear everything of an installation whose server has ended: processes, control groups, folders; how many processes.

    Args:
        home: folder of its state.
    """
    killed = process.kill_marked(process.of_home(home))
    work = home / "work"
    if work.is_dir():
        killed += clear.kill(work)
    clear.all_groups(process.instance(home))
    for folder in (*work.glob("*"), home / "probe"):
        remove_tree(folder)
    return killed


async def _within(seconds: float, event: asyncio.Event) -> bool:
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def boot() -> str:
    """The id of this boot of this host."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def remove_tree(folder: Path) -> None:
    """Remove a folder; see :func:`picloud.sandbox.clear.remove`."""
    if not clear.remove(folder):
        log.warning("cannot remove all of %s", folder)


def _evidence(watched: _Watched) -> str:
    """How a worker ended, in words."""
    if not watched.child:
        return "gone"
    try:
        _, status = os.waitpid(watched.placement.pid, 0)
    except ChildProcessError:
        return "gone"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with {code}"
    known = -code in {one.value for one in signal.Signals}
    return f"killed by {signal.Signals(-code).name if known else f'signal {-code}'}"
