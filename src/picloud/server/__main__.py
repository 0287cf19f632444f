"""The control process: ``python -m picloud.server``, overrides of the settings as one line of JSON on standard input.

Prints one line of JSON when it serves (``{"ready": true, ...}``, the content of server.json) or when it cannot
(``{"error": ...}``). SIGTERM drains and ends everything; SIGUSR1 ends the server alone and leaves the workers to the next.
"""

from __future__ import annotations

import asyncio
import gc
import getpass
import logging
import os
import re
import resource
import secrets
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvloop

from picloud import __version__
from picloud.edge.__main__ import EdgeOrder
from picloud.engine import process
from picloud.server import home as homes
from picloud.server.api.account import TICKET_MS
from picloud.server.app import App
from picloud.server.control import Control
from picloud.server.credentials import configuration, configure, other_server, point_client, secret_of, write_secret
from picloud.server.edge import EdgeProcess
from picloud.server.identity import host_key, owner_key, public_of
from picloud.server.line import Line
from picloud.server.lock import lock
from picloud.server.routes import LINES
from picloud.server.sockets import Doors, Listening, bind
from picloud.server.storage import now_ms
from picloud.serving import Serving
from picloud.settings import Settings, load
from picloud.store import account as accounts
from picloud.store import sshkey as sshkeys
from picloud.store.account import user as users
from picloud.store.db import Database
from picloud.store.files import THREADS, Files, open_files
from picloud.wire.error import CloudException
from picloud.wire.scope import EVERYTHING, Scope

log = logging.getLogger("picloud.server")

OPEN_FILES = 65_536
"""Each client and each slot takes some; the usual soft limit of 1024 is too few."""


class Program:
    """One run of the control process."""

    def __init__(self, settings: Settings, configured: Settings | None = None) -> None:
        """``configured``: the settings without flags of the command line, where that is not the same."""
        self.settings = settings
        self._configured = homes.Configured.of(configured or settings)
        self.home = Path(settings.home)
        self.grace: float | None = settings.drain
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """From nothing to serving, and until told to stop.

        Raises:
            CloudException: this home, database or address cannot be used.
        """
        homes.prepare(self.settings)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "blob"))
        with lock(self.home):
            files = open_files(self.settings.blobs, self.home / "blob")
            await asyncio.to_thread(files.check)  # now, and not when the first large result has nowhere to go
            earlier = homes.read_server_file(self.home)
            listening = bind(
                self.settings, earlier.port if earlier else None, urlsplit(earlier.address).port if earlier else None
            )
            os.environ[process.INSTANCE] = process.instance(self.home)
            db = Database.open(self.settings.database or f"sqlite:///{self.home / 'picloud.sqlite'}")
            try:
                await self._serve(db, files, listening)
            finally:
                db.close()
                listening.close()

    async def _serve(self, db: Database, files: Files, listening: Listening) -> None:
        secret = _secret(self.home / "secret")
        control = Control(self.settings, db, files, secret)
        control.address = listening.loopback
        control.public = (self.settings.public_url or listening.remote or listening.loopback).rstrip("/")
        control.edges = {"http": Doors.port(listening.edge.plain), "https": Doors.port(listening.edge.tls)}
        control.ssh_port, control.ssh_key = Doors.port(listening.ssh), public_of(host_key(self.home))
        order = EdgeOrder(
            self.settings.blobs,
            str(self.home / "blob"),
            secret.hex(),
            [s.fileno() for s in listening.edge.plain],
            [s.fileno() for s in listening.edge.tls],
            listening.tls,
            control=listening.loopback,
            authority=control.authority.edge,
            ssh=[s.fileno() for s in listening.ssh],
            host_key=str(host_key(self.home)),
            port_address=self.settings.port_address,
            proxy_domain=self.settings.proxy_domain,
            origins=control.origins(Doors.port(listening.control.plain), Doors.port(listening.control.tls)),
        )
        edge = EdgeProcess(order, [*listening.edge.plain, *listening.edge.tls, *listening.ssh], {})
        control.ports.tell = edge.tell
        edge.greeting = control.ports.message
        await edge.start()
        app = App(control)
        line = partial(Line, {path: partial(opened, control) for path, opened in LINES.items()})
        servings = [Serving(app, listening.control.plain, upgrade=line)]
        if listening.control.tls:
            servings.append(Serving(app, listening.control.tls, listening.tls, upgrade=line))
        self._hear_signals()
        gc.freeze()  # what is loaded by now stays: the collector need not walk it again and again
        gc.set_threshold(20_000, 20, 50)
        first = await self._found(control)
        await control.open(listening.loopback)
        # Not before: a worker that finds nobody who knows it takes itself for revoked and ends. Who comes earlier waits.
        running = [asyncio.ensure_future(serving.run()) for serving in servings]
        file = await self._introduce(control, listening, edge.pid, first)
        print(msgspec.json.encode({"ready": True, **msgspec.to_builtins(file)}).decode(), flush=True)
        await self._stop.wait()
        log.info("stopping")
        await control.close(self.grace)
        await edge.stop()
        for serving in servings:
            serving.stop()
        await asyncio.gather(*running)
        if self.grace is not None:
            homes.remove_server_file(self.home)

    async def _found(self, control: Control) -> bool:
        """Make the owner's account at the first start; whether this was it."""
        first = not await control.storage.read(accounts.every)
        if first:
            await control.storage.write(accounts.create, _owner_name(), now_ms())
        return first

    async def _introduce(self, control: Control, listening: Listening, edge_pid: int | None, first: bool) -> homes.ServerFile:
        """See to it that the owner has a key, and say where we are."""
        owner = (await control.storage.read(accounts.every))[0]
        control.authority.owner = owner.id
        await control.storage.write(users.owner, owner.id, owner.name, now_ms())
        key, elsewhere = await self._introduce_client(control, owner.id, listening.loopback)
        ticket = await control.storage.write(accounts.ticket_create, owner.id, now_ms(), TICKET_MS)
        file = homes.ServerFile(
            address=listening.loopback,
            pid=os.getpid(),
            started=int(control.started * 1000),
            version=__version__,
            edge_pid=edge_pid,
            tls_fingerprint=listening.fingerprint,
            login_url=f"{listening.loopback}/#{ticket}",
            owner=owner.name,
            owner_key=key,
            client=elsewhere,
            first=first,
            remote=listening.remote,
            host=self.settings.host,
            port=Doors.port(listening.control.tls or listening.control.plain),
            insecure=self.settings.insecure,
            configured=self._configured,
        )
        return homes.write_server_file(self.home, file)

    async def _introduce_client(self, control: Control, owner: int, url: str) -> tuple[str, str]:
        """See to it that this user has a key, and that her client uses us, unless it was set up for another server.

        Returns:
            The owner's key, and the URL of that other server or "".
        """
        used = configuration(self.home).get("api_key", "")
        ours = used.isdigit() and await control.storage.read(accounts.key_known, int(used))
        elsewhere = other_server(self.home, url, ours)
        all_ = await control.storage.read(accounts.keys, owner)
        live = {str(one.key) for one in all_ if one.is_live(now_ms()) and not one.person and one.scopes & Scope.admin}
        stored = next((str(one.key) for one in all_ if str(one.key) in live and secret_of(self.home, one.key)), "")
        ended = used in {str(one.key) for one in all_ if not one.is_live(now_ms())}
        if not stored:
            made, secret = await control.storage.write(accounts.key_create, owner, now_ms(), "first", EVERYTHING)
            write_secret(self.home, made, secret)
        key = stored or str(made)
        public = owner_key(self.home, key)
        await control.storage.write(lambda tx: sshkeys.add(tx, owner, int(key), public, now_ms()))
        if not elsewhere and ours and not ended:
            point_client(self.home, url)
        elif not elsewhere and (not stored or used):
            configure(self.home, api_key=key, url=url, fingerprint="")
        return key, elsewhere

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGUSR1, self._leave)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _leave(self) -> None:
        self.grace = None
        self._stop.set()


def _secret(path: Path) -> bytes:
    """The key of this installation's tickets, made at the first start."""
    if not path.exists():
        homes.write_private(path, secrets.token_bytes(32))
    return path.read_bytes()


def _owner_name() -> str:
    """A short account name from the user's login name; ``picloud`` is reserved."""
    try:
        name = re.sub(r"[^a-z0-9-]", "", getpass.getuser().lower())[:30].strip("-")
    except (KeyError, OSError):
        name = ""
    return name if accounts.NAME.fullmatch(name) and name not in accounts.RESERVED else "owner"


def raise_open_files() -> None:
    """Allow this process, its edge and its workers more open files, as far as the hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    """Read overrides, serve, or print why not (exit 1)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    raise_open_files()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    sys.setswitchinterval(0.0005)  # the store's thread must not wait 5 ms for the GIL; design section 6
    overrides: dict[str, Any] = msgspec.json.decode(sys.stdin.readline() or "{}")
    try:
        uvloop.run(Program(load(**overrides), load()).run())
    except CloudException as error:
        print(msgspec.json.encode({"error": error.to_dict()}).decode(), flush=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
