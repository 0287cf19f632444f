"""Workers come and go here: from a target number of slots to a process placed by the engine, and back.

One worker process per kind and host. Its row is written before the process exists and closed when its end is seen, so a
server that dies anywhere between finds either a process to adopt or a row to revoke.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from picloud.engine.base import Capacity, Engine, Order, Placement
from picloud.server import home as homes
from picloud.server import images
from picloud.server.fleet import Fleet, Worker
from picloud.server.kind import Kind, size
from picloud.server.probing import Probing
from picloud.server.scheduler import Host, KindView
from picloud.server.storage import Storage, now_ms
from picloud.settings import Settings
from picloud.store import account as accounts
from picloud.store import job as jobs
from picloud.store import kind as kinds
from picloud.store import worker as workers
from picloud.store.act import revoke
from picloud.store.act.answer import Finish
from picloud.store.index import volume as volumes
from picloud.wire.error import NotFound
from picloud.wire.message import Recall, Slots, Stop

log = logging.getLogger("picloud.placement")

INTERPRETER = 100 << 20
"""Bytes that one more interpreter is counted with when free RAM is asked for room."""
ISOLATES_NOT, REFUSED = "D", 10.0
"""The rung on which only the first account has jobs; seconds until another's kind is looked at again."""
EMPTY_AFTER = 12
"""A worker idle for so many times ``idle_slot`` ends."""


class Placer:
    """Starts, resizes, adopts and buries workers."""

    def __init__(self, storage: Storage, fleet: Fleet, engine: Engine, settings: Settings, probing: Probing) -> None:
        self._storage, self._fleet, self._engine, self._settings = storage, fleet, engine, settings
        self._probing = probing
        self._kinds: dict[int, Kind] = {}
        self._failures: dict[int, tuple[int, float]] = {}  # kind -> (early deaths in a row, not before)
        self._why: dict[int, str] = {}  # kind -> what its last early death was of
        self.placements: dict[str, Placement] = {}
        self._stops: set[asyncio.Future[None]] = set()  # idle workers on their way out
        self.weights: dict[int, int] = {}  # account -> share of the machine
        self.settle: Callable[[Finish, int], None] = lambda result, account: None
        self.ended_worker: Callable[[Worker], None] = lambda worker: None
        self.url = ""
        self._seen: tuple[float, Capacity, bool] | None = None
        self._ended_by_us: set[str] = set()  # incarnations whose end no job is to blame for
        self._closing = False

    # -- what is known --------------------------------------------------------------------------------------------

    async def know(self, row: jobs.Ready | workers.Worker) -> Kind:
        """Remember a kind from a row that names it."""
        if row.kind not in self._kinds:
            account = await self._storage.read(accounts.get, row.account)
            self.weights[account.id] = account.weight
            self._kinds[row.kind] = self._kind(row, account.name)
        return self._kinds[row.kind]

    def units(self, kind: int) -> int:
        return self._kinds[kind].units

    def name_of(self, kind: int) -> str:
        """The account of a known kind."""
        return self._kinds[kind].account_name

    def trouble(self, kind: int) -> str:
        """Why no worker of a kind is started just now; "" = nothing stands against it."""
        if time.monotonic() >= self._failures.get(kind, (0, 0.0))[1]:
            return ""
        return self._why.get(kind, "")

    def host(self) -> Host:
        """The host's capacity with its present load."""
        capacity, idle = self._measured()
        room = psutil.virtual_memory().available - self._settings.memory_reserve // 2
        return Host(capacity.units, capacity.cores, idle, max(0, room // INTERPRETER))

    # -- sizes ----------------------------------------------------------------------------------------------------

    async def adjust(self, kind: int, target: int, view: KindView, *, reserved: bool = False) -> None:
        """Bring a kind to ``target`` slots, on reserved cores or on others."""
        worker = self._fleet.the(kind, reserved=reserved)
        if worker is None:
            if target > 0 and time.monotonic() >= self._failures.get(kind, (0, 0.0))[1]:
                await self.start(self._kinds[kind], target, reserved=reserved)
            return
        if not view.busy and not view.ready:
            target = self._rest(worker, target)
        if target != worker.target:
            fewer = target < worker.target
            worker.target, worker.moved = target, time.monotonic()
            worker.send(Slots(target))
            if reserved and fewer:  # what has not begun belongs to others now
                worker.send(Recall())

    async def start(self, kind: Kind, slots: int, *, reserved: bool = False) -> None:
        """Place a new worker of a kind."""
        rung = await self._probing.rung()
        if rung == ISOLATES_NOT and kind.account != (await self._storage.read(accounts.every))[0].id:
            log.error("no worker for account %s: jobs of several accounts are not isolated here (rung D)", kind.account_name)
            self._failures[kind.id] = (0, time.monotonic() + REFUSED)
            self._why[kind.id] = "jobs of several accounts are not isolated on this machine (rung D)"
            return
        incarnation, secret = secrets.token_hex(16), secrets.token_hex(32)
        secret_hash = hashlib.sha256(secret.encode()).digest()
        row = await self._storage.note(workers.create, incarnation, kind.id, secret, now_ms(), reserved)
        worker = Worker(row, incarnation, secret_hash, kind, reserved=reserved)
        worker.target, worker.idle_since = slots, time.monotonic()
        self._fleet.add(worker)
        try:
            image = await self._storage.read(images.draw, kind.env)
            shown = await self._storage.read(volumes.of_numbers, kind.account, kinds.volumes(kind.vol)) if kind.vol else []
        except NotFound as error:
            log.error("no worker for kind %d: %s", kind.id, error)
            await self.ended(incarnation, f"its environment or volume is gone: {error.parameter}")
            return
        capacity = self._engine.capacity()
        order = Order(
            url=self.url,
            incarnation=incarnation,
            secret=secret,
            folder=str(Path(self._settings.home) / "work" / incarnation),
            core_type=kind.core_type,
            cores=kind.cores,
            memory_limit=kind.memory,
            reconnect=self._settings.reconnect,
            log_head=self._settings.log_head,
            log_tail=self._settings.log_tail,
            slots=slots,
            image=image,
            layers=str(Path(self._settings.home) / "layers"),
            cache=str(Path(self._settings.home) / "cache" / "mount") if self._settings.bucket_mount else "",
            volumes=shown,
            core_types=self._settings.core_types,
            rung=rung,
            account=kind.account,
            units=kind.units,
            disk=self._disk(),
            network=self._settings.network,
            private=self._settings.private_network,
            host_cores=capacity.cores,
            host_memory=capacity.memory,
            host_units=capacity.units,
        )
        try:
            placement = await self._engine.start(order)
        except Exception as error:  # noqa: BLE001 - whatever an engine raises, the row of this worker must be closed
            log.error("no worker for %s x %d: %s", kind.core_type, kind.cores, error)
            await self.ended(incarnation, f"could not be started: {error}")
            return
        worker.pid, worker.image = placement.pid, image
        self.placements[incarnation] = placement
        await self._storage.note(workers.placed, row, placement.pid, f"{placement.started}@{placement.host}")

    async def ended(self, incarnation: str, evidence: str) -> None:
        """A worker is gone: revoke what it held, in one act, and make room for another."""
        if self._closing:
            return  # stop_all revokes them all, and waits for it
        await self._bury(incarnation, evidence)

    async def _bury(self, incarnation: str, evidence: str) -> None:
        worker = self._fleet.remove(incarnation)
        self.placements.pop(incarnation, None)
        if worker is None:
            return
        self.ended_worker(worker)
        early = worker.window == 0
        count = self._failures.get(worker.kind.id, (0, 0.0))[0] + 1 if early else 0
        self._failures[worker.kind.id] = (count, time.monotonic() + (min(10.0, 0.1 * 2**count) if early else 0.0))
        if early:
            self._why[worker.kind.id] = evidence
        log.info("worker %s of %s ended: %s", incarnation, worker.kind.core_type, evidence)
        blameless = incarnation in self._ended_by_us
        self._ended_by_us.discard(incarnation)
        # the time is taken when the act runs: leases that were on their way when the worker ended are older
        ended = await self._storage.write(lambda tx: revoke.revoke(tx, worker.id, evidence, now_ms(), blameless=blameless))
        self.settle(ended, worker.kind.account)

    async def stop_all(self, grace: float) -> None:
        """Drain every worker for ``grace`` seconds and end it; what a worker could not finish is queued again, without blame."""
        self._closing = True
        for worker in self._fleet:
            worker.send(Stop(grace))
        stops: list[Awaitable[None]] = [self._engine.stop(placement, 2.0, grace) for placement in self.placements.values()]
        await asyncio.gather(*stops)
        for worker in self._fleet:
            self._ended_by_us.add(worker.incarnation)
            await self._bury(worker.incarnation, "the server was stopped")

    async def retire(self, kind: int) -> None:
        """End the workers of a kind that gets no more jobs, with everything that their sandboxes hold."""
        for worker in self._fleet.of_kind(kind):
            placement = self.placements.get(worker.incarnation)
            if placement is not None:
                self._ended_by_us.add(worker.incarnation)
                worker.target = 0
                worker.send(Stop(0.0))
                await self._engine.stop(placement, 5.0, 1.0)

    # -- adoption -------------------------------------------------------------------------------------------------

    async def adopt(self) -> None:
        """At start: take over the workers of an earlier server, revoke those that are gone.

        Those that `picloud down` ended, because their own server could not, are gone without anybody's blame.
        """
        home = Path(self._settings.home)
        stopped = homes.stopped(home)
        for row in await self._storage.read(workers.live):
            worker = Worker(row.id, row.incarnation, row.secret_hash, await self.know(row), reserved=bool(row.reserved))
            worker.idle_since = time.monotonic()
            self._fleet.add(worker)
            started, _, host = (row.pid_start or "0@").partition("@")
            placement = Placement(row.incarnation, row.pid or 0, int(started), host)
            if row.pid and await self._engine.adopt(placement):
                worker.pid, worker.window = row.pid, 1
                self.placements[row.incarnation] = placement
                await self._engine.point(placement, self.url)
            elif row.incarnation in stopped:
                self._ended_by_us.add(row.incarnation)
                await self.ended(row.incarnation, "ended by picloud down")
            else:
                await self.ended(row.incarnation, "gone before this server started")
        homes.forget_stopped(home)
        await self._engine.sweep()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _rest(self, worker: Worker, target: int) -> int:
        """An idle worker keeps its slots for a while, then one, then ends; one on reserved cores as long as it shall have any."""
        idle = time.monotonic() - worker.idle_since
        placement = self.placements.get(worker.incarnation)
        ends = not (target or worker.held) if worker.reserved else idle > self._settings.idle_slot * EMPTY_AFTER
        if ends and placement and worker.incarnation not in self._ended_by_us:
            self._ended_by_us.add(worker.incarnation)
            stop = asyncio.ensure_future(self._engine.stop(placement, 5.0))  # nobody else waits for it
            self._stops.add(stop)
            stop.add_done_callback(self._stops.discard)
        return min(target, 1) if idle > self._settings.idle_slot and not worker.reserved else target

    def _kind(self, row: jobs.Ready | workers.Worker, account_name: str) -> Kind:
        slot = size(self._settings, row.core_type, row.cores)
        capacity = self._engine.capacity()
        return Kind(
            row.kind,
            row.account,
            account_name,
            row.core_type,
            row.cores,
            slot.units,
            min(slot.memory, capacity.memory),
            max(1, capacity.cores // row.cores) if not row.env.startswith("s") else 1,
            row.env,
            row.vol,
            slot.price // row.cores,
        )

    def _disk(self) -> int:
        """Bytes that a slot may hold on disk; 0 = no limit."""
        limit = self._settings.slot_disk
        return min(limit, shutil.disk_usage(self._settings.home).free // 2) if limit else 0

    def _measured(self) -> tuple[Capacity, bool]:
        """What the host offers, and whether a core was idle over the last second or so."""
        if self._seen is None or time.monotonic() - self._seen[0] > 1.0:
            idle = psutil.cpu_percent(None) < 100 * (1 - 0.8 / max(1, psutil.cpu_count() or 1))
            self._seen = time.monotonic(), self._engine.capacity(), idle
        return self._seen[1:]
