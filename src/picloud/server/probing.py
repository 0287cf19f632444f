"""What kind of sandboxes this machine allows, found out once while the server starts; kept in memory."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from pathlib import Path

from picloud.engine import process
from picloud.sandbox import platform
from picloud.sandbox.probe import RUNGS, Climb, Probe
from picloud.settings import Settings
from picloud.wire.error import CloudException, SetupError, Unavailable

log = logging.getLogger("picloud.probing")

CALM = 2.0
"""Seconds after the start in which nobody's first job shall wait for figures that only people ask for."""

LAST = 10.0
"""Seconds that the end of the server waits for the end of a trial."""


class Probing:
    """One thread: first the rung, which workers wait for; then everything else.

    Args:
        settings: of the installation; ``home`` and ``sandbox`` are used.

    Raises:
        SetupError: there is no such rung.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.sandbox not in ("", *RUNGS):
            raise SetupError(f"setting sandbox: {settings.sandbox!r} is no rung", hint='one of A, B, C, D, or "" for the best')
        self._settings, self._asked = settings, threading.Event()
        self._rung: Future[str] = Future()
        self._probe: Future[Probe] = Future()
        self._closed = False
        self._thread = threading.Thread(target=self._climb, name="probe", daemon=True)
        self._thread.start()

    async def rung(self) -> str:
        """A to D.

        Raises:
            SetupError: the one that the settings ask for does not work here.
        """
        return await asyncio.wrap_future(self._rung)

    async def probe(self) -> Probe:
        """Rung and features. Raises as :meth:`rung`."""
        self._asked.set()
        return await asyncio.shield(asyncio.wrap_future(self._probe))

    async def close(self) -> None:
        """Look no further, and leave nothing of what was tried."""
        self._closed = True
        self._asked.set()
        await asyncio.to_thread(self._thread.join, LAST)

    def _climb(self) -> None:
        """All in one thread: what it starts dies with it."""
        home = Path(self._settings.home)
        climb = Climb(home / "probe", process.instance(home), platform.image(), self._settings.sandbox)
        try:
            self._rung.set_result(climb.up())
            self._asked.wait(CALM)
            if self._closed:
                self._probe.set_exception(Unavailable("the server stops"))
                return
            found = climb.look()
            self._probe.set_result(found)
            log.info("sandboxes: rung %s%s", found.rung, "".join(f"; {one.name}: {one.text}" for one in found.missing))
        except Exception as error:  # noqa: BLE001 - whoever waits hears it
            log.error("sandboxes: %s", error.parameter if isinstance(error, CloudException) else error)
            for future in (self._rung, self._probe):
                if not future.done():
                    future.set_exception(error)
        finally:
            climb.close()
