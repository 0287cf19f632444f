"""The ports of running jobs as others see them: one listener each on the port address, each connection a channel."""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from picloud.edge.channel import Channels, Joint
from picloud.edge.control import Control
from picloud.wire.error import CloudException
from picloud.wire.message import Connect

log = logging.getLogger("picloud.edge.ports")


class Place(NamedTuple):
    """What an outer port leads to."""

    account: int
    jid: int
    n: int
    inner: int


class Outer:
    """All listeners.

    Args:
        address: where they listen.
    """

    def __init__(self, control: Control, channels: Channels, address: str) -> None:
        self._control, self._channels, self._address = control, channels, address
        self._servers: dict[int, tuple[Place, asyncio.Server]] = {}
        self._visits: set[asyncio.Task[None]] = set()
        self._wanted: dict[int, Place] = {}
        self._busy = self._again = False

    def show(self, wanted: dict[int, Place]) -> None:
        """Listen for exactly these ports; control is told when it is so."""
        self._wanted = wanted
        self._again = True
        if not self._busy:
            self._busy = True
            task = asyncio.get_running_loop().create_task(self._settle())
            self._visits.add(task)
            task.add_done_callback(self._visits.discard)

    async def _settle(self) -> None:
        try:
            while self._again:
                self._again = False
                failed = await self._listen(self._wanted)
                told = {"open": sorted(self._servers), "failed": failed}
                try:
                    await self._control.ask("/v1/edge/listening", told)
                except CloudException as error:
                    log.error("control was not told of ports: %s", error)
        finally:
            self._busy = False

    async def _listen(self, wanted: dict[int, Place]) -> list[int]:
        for outer in [outer for outer, (place, _) in self._servers.items() if wanted.get(outer) != place]:
            self._servers.pop(outer)[1].close()
        failed = []
        for outer, place in wanted.items():
            if outer not in self._servers:
                try:
                    self._servers[outer] = place, await self._server(outer, place)
                except OSError as error:
                    log.error("port %d of %s cannot be had: %s", outer, self._address, error)
                    failed.append(outer)
        return failed

    async def _server(self, outer: int, place: Place) -> asyncio.Server:
        loop = asyncio.get_running_loop()

        def made() -> Joint:
            joint = Joint()
            task = loop.create_task(self._lead(joint, place))
            self._visits.add(task)
            task.add_done_callback(self._visits.discard)
            return joint

        return await loop.create_server(made, self._address, outer, backlog=512)

    async def _lead(self, joint: Joint, place: Place) -> None:
        try:
            joint.join(await self._channels.open(place.jid, Connect(place.inner), account=place.account))
        except CloudException as error:
            log.info("no way to port %d of job %d: %s", place.inner, place.jid, error)
            if joint.transport is not None:
                joint.transport.abort()  # what a port that nobody listens on does
