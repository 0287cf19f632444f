"""Bases in the making: Debian releases, container images, the ready-made one. Minutes each, in a thread; one at a time."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from picloud.image import debian, oci, science
from picloud.image.base import Base as Made
from picloud.image.packages import packages
from picloud.sandbox.layer import Layers
from picloud.server.runs import Run
from picloud.server.storage import now_ms
from picloud.store import base as bases
from picloud.store import blob as blobs
from picloud.store import layer as layers
from picloud.store.db import Transaction
from picloud.wire.error import BadRequest, CloudException

if TYPE_CHECKING:
    from picloud.server.control import Control

log = logging.getLogger("picloud.bases")

PREFIX = ".base-"
"""Of the folders in home in which bases are made."""
PIECE = 1 << 20
SOURCES = ("debian", "image", "science")


class Bases:
    """Makes bases for everybody of this installation."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._one_at_a_time = asyncio.Lock()
        self._home = Path(control.settings.home)

    def begin(self, account: int, token: bytes, name: str, source: str, what: str) -> None:
        """Begin to make one; its token names its output. A repeat is a no-op.

        Args:
            account: who pays for the bytes.
            name: of the base, without "base/".
            source: "debian" (``what``: the release), "image" (a path on this machine, perhaps with ``#tag``), "science".

        Raises:
            BadRequest: no such source, or no name for a base.
        """
        if source not in SOURCES:
            raise BadRequest(f"no source of bases: {source[:40]!r}", hint=", ".join(SOURCES))
        if not bases.NAME.fullmatch(name) or name == "host":
            raise BadRequest(f"{name[:80]!r} is no name for a base", hint="1 to 30 letters, digits, _ . or -; not host")
        self._control.storage.check_space()
        run = self._control.runs.begin(token, account)
        if run is not None:
            self._control.spawn(self._make(account, run, name, source, what))

    async def _make(self, account: int, run: Run, name: str, source: str, what: str) -> None:
        loop = asyncio.get_running_loop()

        def tell(line: str) -> None:
            loop.call_soon_threadsafe(lambda: run.hear(run.end, f"{line}\n".encode()))

        try:
            async with self._one_at_a_time:
                await self._made(account, name, source, what, tell)
            run.finish(0)
        except CloudException as error:
            run.finish(None, str(error))
        except Exception as error:
            log.exception("base/%s could not be made", name)
            run.finish(None, f"{type(error).__name__}: {error}")

    async def _made(self, account: int, name: str, source: str, what: str, tell: Callable[[str], None]) -> None:
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=PREFIX, dir=self._home))
        try:
            file = folder / "layer"
            made = await asyncio.to_thread(_build, source, what, file, tell)
            tell("listing what is in it")
            found = await asyncio.to_thread(self._contents, made, file)
            tell("storing it")
            blob = await self._stored(account, file, made.size)
            base = bases.Base(name, [made.digest], made.digest, made.distro, made.python, made.version, found, made.origin,
                              made.size)  # fmt: skip

            def act(tx: Transaction) -> None:
                layers.keep(tx, account, made.digest, blob, made.size, now_ms())
                bases.add(tx, base, now_ms())

            await self._control.storage.write(act)
            tell(f"base/{name}: {made.distro}, Python {made.version or 'none'}, {made.size / 1e6:.0f} MB")
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _contents(self, made: Made, file: Path) -> bases.Packages:
        """What is in it; from now on it lies unpacked on this host, for the first job."""
        unpacked = Layers(self._home / "layers").take([made.digest], lambda _, target: Path(target).hardlink_to(file))
        with unpacked as stack:
            return [(one.kind, one.name, one.version) for one in packages(stack.folders)]

    async def _stored(self, account: int, file: Path, size: int) -> str:
        (blob,) = await self._control.storage.write(blobs.new, account, [size], now_ms())
        await asyncio.to_thread(self._copy, file, blob)
        await self._control.arrived([blob])
        return blob

    def _copy(self, file: Path, blob: str) -> None:
        with file.open("rb") as source, self._control.files.create(blob) as sink:
            while piece := source.read(PIECE):
                sink.write(piece)

    async def clear(self) -> None:
        """At start: remove what an earlier server left half made."""
        for folder in self._home.glob(PREFIX + "*"):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _build(source: str, what: str, file: Path, tell: Callable[[str], None]) -> Made:
    match source:
        case "debian":
            return debian.build(what, file, progress=tell)
        case "image":
            path, _, tag = what.partition("#")
            return oci.load(Path(path), file, tag=tag, progress=tell)
    return science.build(file, progress=tell)
