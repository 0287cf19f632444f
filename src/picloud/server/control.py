"""The composition root of the control process: every part is built here and nowhere else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from picloud.edge.origins import Origins
from picloud.engine.local import LocalEngine
from picloud.server import telemetry
from picloud.server.attachments import Attachments
from picloud.server.auth import Authority
from picloud.server.bases import Bases
from picloud.server.changes import Changes, Turns
from picloud.server.collection import Collection
from picloud.server.crons import Crons
from picloud.server.dispatcher import Dispatcher
from picloud.server.fleet import Fleet, Worker
from picloud.server.home import VAULT
from picloud.server.http import Request
from picloud.server.hub import Hub
from picloud.server.images import Interpreters
from picloud.server.janitor import Janitor
from picloud.server.limiter import Limiter
from picloud.server.mail import Mail
from picloud.server.meter import Meter
from picloud.server.metrics import Metrics
from picloud.server.oidc import Provider
from picloud.server.overview import Overview
from picloud.server.passwords import Passwords
from picloud.server.placement import Placer
from picloud.server.ports import Ports
from picloud.server.probing import Probing
from picloud.server.queues import Queues
from picloud.server.realtime import Realtime
from picloud.server.removal import Removal
from picloud.server.route import Route, Table
from picloud.server.runs import Runs
from picloud.server.sampling import Sampling
from picloud.server.setups import Setups
from picloud.server.storage import Storage, now_ms
from picloud.server.terminals import Terminals
from picloud.server.vault import Vault
from picloud.server.views import Views
from picloud.server.webhooks import Webhooks
from picloud.settings import Settings, choose_default_type
from picloud.store import account as accounts
from picloud.store import blob as blobs
from picloud.store import hold
from picloud.store.db import Database
from picloud.store.files import Files
from picloud.wire import ticket
from picloud.wire.message import Arguments

SSH_TRIES = 40
"""Wrong keys and secrets by ssh from one address before it waits: a client shows all keys that it has, one behind the other."""

STEADY = 600
"""Seconds for which a ticket stays the same."""


class Control:
    """What every API handler reaches: store, hub, dispatcher, authority, settings."""

    def __init__(self, settings: Settings, db: Database, files: Files, secret: bytes) -> None:
        self.settings, self.files, self.secret = settings, files, secret
        self.storage = Storage(db, settings)
        self.fleet = Fleet()
        self.metrics, self.overview = Metrics(), Overview(self)
        self.hub = Hub()
        self.changes, self.appends = Changes(), Turns()
        self.queues = Queues(self.storage)
        self.engine = LocalEngine(settings, self._exited)
        self.probing = Probing(settings)
        self.placer = Placer(self.storage, self.fleet, self.engine, settings, self.probing)
        self.dispatcher = Dispatcher(self.storage, self.fleet, self.hub, self.placer, settings)
        self.vault = Vault(Path(settings.home) / VAULT)
        self.dispatcher.specs = self.vault.specs
        self.sampling = Sampling(self.storage, self.hub)
        self.dispatcher.ended = self.sampling.ended
        self.dispatcher.metrics = self.metrics
        self.placer.settle = self.dispatcher.settle
        self.dispatcher.arrived = self.arrived
        self.authority = Authority(self.storage, self.fleet)
        self.passwords, self.limiter, self.terminals = Passwords(), Limiter(), Terminals()
        self.ssh_limiter = Limiter(SSH_TRIES, SSH_TRIES)
        self.provider, self.mail = Provider(settings), Mail(settings)
        self.public = ""  # URL under which people reach us
        self.ports = Ports(self.fleet, settings)
        self.placer.ended_worker = self._lost
        self.janitor = Janitor(self.storage, self.dispatcher, files, settings)
        self.collection = Collection(self)
        capacity = self.engine.capacity()
        self.default_type = choose_default_type(settings, capacity.cores, capacity.memory + settings.memory_reserve)
        self.interpreters = Interpreters(settings)
        self.runs = Runs()
        self.setups, self.bases = Setups(self), Bases(self)
        self.attachments = Attachments(self)
        self.crons = Crons(self)
        self.webhooks = Webhooks(self)
        self.queues.rung = self.attachments.look_at
        self.dispatcher.relieve = self.attachments.relieve
        self.meter = Meter(self)
        self.realtime = Realtime(self)
        self.removal = Removal(self)
        self.dispatcher.stopped, self.dispatcher.billed = self.meter.stopped, self._billed
        self.views = Views(self)
        self.find: Callable[[str, str], tuple[Route, tuple[str, ...]]] = Table(()).find  # by method and path, set by the app
        self.document: Callable[[], bytes] = bytes  # the OpenAPI document, set by the app
        self.address = ""
        self.hosts = {"", "localhost", settings.host}
        self.edges: dict[str, int] = {}  # scheme -> port of the edge
        self.ssh_port = 0
        self.ssh_key = ""  # the gateway's, by which clients know it
        self.started = time.time()
        self._tasks: set[asyncio.Task[None]] = set()

    def host_units(self) -> int:
        return self.engine.capacity().units

    async def open(self, loopback: str) -> None:
        """Begin to work: adopt living workers, start the loops. ``loopback``: URL by which workers reach us."""
        self.placer.url = loopback
        if self.settings.sandbox:  # a rung that does not work is told at once
            await self.probing.rung()
        await self.placer.adopt()
        self.dispatcher.held = await self.storage.read(hold.since) is not None
        await self.realtime.open()
        await self.meter.look(now_ms())
        self.interpreters.alone = len(await self.storage.read(accounts.every)) <= 1
        await self.attachments.open()
        self.spawn(self.attachments.run())
        self.spawn(self.crons.run())
        self.spawn(self.setups.open())
        self.spawn(self.bases.clear())
        self.spawn(self.dispatcher.run())
        self.spawn(self.janitor.run())
        self.spawn(self.sampling.run())
        self.spawn(self.meter.run())
        self.spawn(self.mail.run())
        self.spawn(self.webhooks.run())
        self.spawn(self.realtime.run())
        self.spawn(self.removal.run())
        self.spawn(telemetry.run(self))

    async def close(self, grace: float | None) -> None:
        """Stop. ``grace``: seconds that running jobs get before workers end; None leaves the workers alone (restart)."""
        self.dispatcher.draining = True
        await self.probing.close()
        await self.realtime.close()
        if grace is not None:
            self.attachments.close()
            await self.placer.stop_all(grace)
        self.hub.close()
        self.changes.close()
        self.views.close()
        self.queues.close()
        await self.sampling.write()
        for task in self._tasks:
            task.cancel()
        await self.engine.close()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine until it ends or the server does."""
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _billed(self, account: int) -> None:
        """Work of an account has ended."""
        self.meter.touch(account)
        self.realtime.ended(account)

    def _lost(self, worker: Worker) -> None:
        """A worker is gone."""
        self.ports.gone(worker)
        if worker.reserved:
            self.realtime.changed()
            self.dispatcher.wake()

    def _exited(self, incarnation: str, evidence: str) -> None:
        self.spawn(self.placer.ended(incarnation, evidence))

    def hostname(self, jid: int | None) -> str | None:
        """Where ssh reaches a job: ``<jid>@<host>:<port>``."""
        if jid is None:
            return None
        port = self.ssh_port
        return f"{jid}@{self.settings.host or '127.0.0.1'}" + (f":{port}" if port else "")

    def origins(self, plain: int, tls: int) -> Origins:
        """Of our own pages, by the ports that we listen on; 0 = there is none."""
        return Origins({"http": plain, "https": tls}, sorted(self.hosts - {""}), self.public)

    # -- blobs ------------------------------------------------------------------------------------------------------

    def edge(self, request: Request) -> str:
        """The edge's URL, by the scheme and host name under which this request found us."""
        scheme = request.scope["scheme"]
        host = request.headers.get(b"host", b"127.0.0.1").decode("latin-1")
        return f"{scheme}://{urlsplit(f'//{host}').hostname or '127.0.0.1'}:{self.edges[scheme]}"

    def blob_url(self, request: Request, verb: str, blob: str, size: int = 0) -> str:
        """A ticket for one blob, good for an hour and some minutes, in which it stays the same, as views do."""
        now = -(-time.time() // STEADY) * STEADY
        return ticket.url(self.edge(request), self.secret, verb, blob, size, now)

    async def blobs_present(self, account: int, arguments: Arguments) -> None:
        """Every blob that arguments name has arrived and is marked so; whose it is, the accepting act checks.

        Raises:
            NotFound: naming the first that has not.
        """
        await self.arrived(list(arguments.blobs.values()))

    async def arrived(self, names: list[str]) -> None:
        """Mark blobs whose bytes are on disk as live.

        Raises:
            NotFound: naming the first that has not arrived.
        """
        if names:
            await self.storage.note(blobs.all_arrived, await self.sizes(names), now_ms())

    async def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """The bytes of each of these blobs, which the disk has.

        Raises:
            NotFound: naming the first that has not arrived.
        """
        return await asyncio.to_thread(lambda: {name: self.files.size(name) for name in names}) if names else {}
