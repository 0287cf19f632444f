"""What slots and pool need of those above them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from picloud.sandbox.base import Maker
from picloud.wire.message import Lease, LogChunk, Outcome, ToServer
from picloud.worker.feed import Feed, Key
from picloud.worker.loop import Loop
from picloud.worker.order import Order
from picloud.worker.running import Running
from picloud.worker.warden import Warden

if TYPE_CHECKING:
    from picloud.worker.slot import Slot


class Reports(Protocol):
    """Where the pool tells what happened (the session)."""

    def done(self, outcome: Outcome) -> None: ...
    def returned(self, leases: list[Lease]) -> None: ...
    def printed(self, chunks: list[LogChunk]) -> None: ...
    def picture(self) -> None: ...
    def turn(self) -> None: ...
    def started(self, leases: list[Lease]) -> None: ...
    def tell(self, message: ToServer) -> None: ...
    def flush(self) -> None: ...
    def rest(self) -> float: ...
    @property
    def settled(self) -> bool: ...


class Owner(Protocol):
    """What a slot needs from the pool."""

    loop: Loop
    feed: Feed
    order: Order
    folder: Path
    warden: Warden
    maker: Maker
    reports: Reports

    def begun(self, slot: Slot, key: Key) -> Running | None:
        """The slot's runner took this job; None = it may not have it."""

    def ended(self, slot: Slot, running: Running, outcome: Outcome, large: Path | None) -> None:
        """The job in hand is over; ``large``: its result lies in this file."""

    def printed(self, chunks: list[LogChunk]) -> None:
        """Output to be sent."""

    def waits(self, slot: Slot, running: Running, begins: bool, readers: int) -> None:
        """The job in hand begins or ends to wait for other jobs."""

    def ready(self, slot: Slot) -> None:
        """The runner can take jobs."""

    def failed(self, slot: Slot, error: BaseException | None) -> None:
        """It could not be started."""

    def gone(self, slot: Slot, clean: bool) -> None:
        """The runner has ended."""
