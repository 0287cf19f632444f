"""What others have to do with running jobs: their owner's guests, the ports they listen on, and those of their neighbours.

Which ports there are is looked at twice a second, only while jobs run that are older than a moment, in a thread.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import Protocol

from picloud.sandbox.base import Inside
from picloud.wire.image import HOST
from picloud.wire.message import Dial, Mapped, Neighbours, Ports, ToServer
from picloud.worker import channel
from picloud.worker.feed import Key
from picloud.worker.guests import Guests
from picloud.worker.loop import Loop
from picloud.worker.order import Order
from picloud.worker.pump import relay
from picloud.worker.running import Running
from picloud.worker.slot import Slot

log = logging.getLogger(__name__)

OLD_ENOUGH = 0.5  # seconds that a job has run before its ports are looked at
PAUSE = 0.5  # seconds between two looks
GIB = 1 << 30
KEPT = "Everything here, in home and /tmp too, goes when the job ends: copy out what you want to keep (scp, rsync)."
PATIENCE = 10.0  # seconds for the edge to accept a neighbour


class Reports(Protocol):
    """Where ports are told (the session)."""

    def tell(self, message: ToServer) -> None: ...


class Visits:
    """One for all slots of a worker; on the loop."""

    def __init__(self, loop: Loop, order: Order, slots: list[Slot], reports: Reports) -> None:
        self._loop, self._order, self._slots, self._reports = loop, order, slots, reports
        self._seen: dict[Key, list[int]] = {}  # ports told, of running attempts
        self._outer: dict[Key, dict[int, int]] = {}  # what they were mapped to
        self._looking = False
        self._next = 0.0
        self._address, self._wanted = "", set[int]()
        self._shown: dict[int, tuple[Inside, dict[int, socket.socket]]] = {}  # by slot number

    # -- guests ---------------------------------------------------------------------------------------------------

    def dial(self, order: Dial) -> None:
        """Open a channel to a job."""
        channel.answer(order, lambda jid, n: self._loop.ask(lambda: self._visited((jid, n))))

    def _visited(self, key: Key) -> channel.Job | None:
        for slot in self._slots:
            sandbox = slot.sandbox
            if slot.process is None or sandbox is None:
                continue
            if slot.job is None or slot.job.key != key:
                slot.read()  # the start mark may still lie in the socket
            running = slot.job
            if running is not None and running.key == key and running.ending is None:
                jid, n = key
                env = running.spec.env | running.spec.secrets | {"PICLOUD_JID": str(jid), "PICLOUD_ATTEMPT": str(n)}
                running.guests = running.guests or Guests()
                root = bool(self._order.image and self._order.image.setup)
                return channel.Job(sandbox.inside, sandbox.run, env, root, running.guests, self._greeting(jid), slot.welcome)
        return None

    def _greeting(self, jid: int) -> str:
        order = self._order
        environment = order.image.name if order.image else HOST
        memory = f", {order.memory_limit / GIB:.1f} GiB of RAM" if order.memory_limit else ""
        cores = f"{order.cores} core{'s' if order.cores > 1 else ''}"
        return f"Job {jid}: environment {environment}, {order.core_type}, {cores}{memory}.\n{KEPT}\n"

    # -- ports ----------------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Some jobs run: find out which ports they listen on."""
        if self._looking or now < self._next:
            return
        wanted = [
            (slot.job.key, slot.sandbox.inside)
            for slot in self._slots
            if slot.job is not None and slot.sandbox is not None and now - slot.job.began > OLD_ENOUGH
        ]
        if wanted:
            self._looking, self._next = True, now + PAUSE
            self._loop.work(lambda: [(key, _ports(inside)) for key, inside in wanted], self._looked)

    def _looked(self, found: list[tuple[Key, list[int]]] | None, error: BaseException | None) -> None:
        self._looking = False
        if found is None:
            log.error("ports of jobs were not looked at: %s", error)
            return
        running = {slot.job.key for slot in self._slots if slot.job is not None}
        for key, ports in found:
            if key in running and ports != self._seen.get(key, []):
                self._seen[key] = ports
                self._tell(key)

    def _tell(self, key: Key) -> None:
        outer = self._outer.get(key, {})
        self._reports.tell(Ports(*key, [(port, outer.get(port, 0)) for port in self._seen.get(key, [])]))

    def mapped(self, told: Mapped) -> None:
        """Control has shown the ports of a job there."""
        if (told.jid, told.n) in self._seen:
            self._outer[told.jid, told.n] = told.tcp

    def greeted(self) -> None:
        """A new connection to control, which may know nothing of all this."""
        for key in self._seen:
            self._tell(key)

    def ended(self, running: Running) -> None:
        """A job is over."""
        if running.guests is not None:
            running.guests.end()
        if self._seen.pop(running.key, None) is not None:
            self._outer.pop(running.key, None)
            self._tell(running.key)

    # -- neighbours -----------------------------------------------------------------------------------------------

    def show(self, told: Neighbours) -> None:
        """Ports of the account's jobs, which each sandbox shows from now on."""
        self._address, self._wanted = told.address, set(told.ports)
        for slot in self._slots:
            self.entered(slot)

    def entered(self, slot: Slot) -> None:
        """A slot's sandbox may be new, or may lack neighbours."""
        if slot.process is None or slot.sandbox is None or (not self._wanted and slot.number not in self._shown):
            return
        inside = slot.sandbox.inside
        known = self._shown.get(slot.number)
        if known is not None and known[0] is not inside:
            self.left(slot)
            known = None
        shown = known[1] if known is not None else {}
        self._shown[slot.number] = inside, shown
        for port in shown.keys() - self._wanted:
            self._hide(shown.pop(port))
        missing = sorted(self._wanted - shown.keys())
        if missing:
            self._loop.work(lambda: _listeners(inside, self._address, missing), lambda found, _: self._add(slot, inside, found))

    def _add(self, slot: Slot, inside: Inside, found: dict[int, socket.socket] | None) -> None:
        known = self._shown.get(slot.number)
        for port, listener in (found or {}).items():
            if known is None or known[0] is not inside or port in known[1] or port not in self._wanted:
                listener.close()
                continue
            known[1][port] = listener
            listener.setblocking(False)
            self._loop.watch(listener.fileno(), lambda port=port, at=listener: self._accept(at, port))  # type: ignore[misc]

    def left(self, slot: Slot) -> None:
        """A slot's sandbox has ended."""
        for listener in self._shown.pop(slot.number, (None, {}))[1].values():
            self._hide(listener)

    def _hide(self, listener: socket.socket) -> None:
        self._loop.forget(listener.fileno())
        listener.close()

    def _accept(self, listener: socket.socket, port: int) -> None:
        try:
            visitor, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:
            self._loop.forget(listener.fileno())  # its sandbox has ended
            return
        visitor.setblocking(True)
        place = self._address, port
        threading.Thread(target=_lead, args=(visitor, place), name=f"neighbour {port}", daemon=True).start()


def _ports(inside: Inside) -> list[int]:
    with contextlib.suppress(OSError):
        return inside.ports()
    return []


def _listeners(inside: Inside, address: str, ports: list[int]) -> dict[int, socket.socket]:
    found = {}
    for port in ports:
        try:
            found[port] = inside.listen(address, port)
        except OSError as error:
            log.debug("port %d of %s is not shown: %s", port, address, error)
    return found


def _lead(visitor: socket.socket, place: tuple[str, int]) -> None:
    """Pass a connection of a job on to the neighbour's port, as the edge shows it."""
    with visitor:
        try:
            outer = socket.create_connection(place, PATIENCE)
        except OSError:
            return
        outer.settimeout(None)
        with outer:
            relay(visitor, outer)
