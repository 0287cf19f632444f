"""Which outer ports jobs get, keep and give back."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from picloud.server.fleet import Fleet, Worker
from picloud.server.kind import Kind
from picloud.server.ports import Ports
from picloud.settings import Settings
from picloud.wire.message import Mapped, Neighbours, ToWorker, decode_to_worker
from picloud.wire.message import Ports as Report


class Line:
    def __init__(self) -> None:
        self.told: list[ToWorker] = []

    def send(self, message: bytes) -> None:
        self.told.append(decode_to_worker(message))


class Scene:
    """Two workers of two accounts, and an edge that listens wherever it is told to."""

    def __init__(self, first: int, last: int) -> None:
        self.fleet = Fleet()
        self.ports = Ports(self.fleet, Settings(port_first=first, port_last=last))
        self.ports.tell = self._edge
        self.lines = {}
        self.refused: set[int] = set()
        self.workers = []
        for account in (1, 2):
            worker = Worker(account, f"w{account}", b"", Kind(account, account, f"a{account}", "c1", 1, 1000, 1, 1))
            self.lines[account] = Line()
            worker.line = self.lines[account]
            self.fleet.add(worker)
            self.workers.append(worker)

    def _edge(self, line: bytes) -> None:
        wanted = {int(port) for port in json.loads(line)["ports"]}
        failed = sorted(wanted & self.refused)
        asyncio.get_running_loop().call_soon(self.ports.listening, sorted(wanted - self.refused), failed)

    async def report(self, worker: Worker, jid: int, tcp: list[tuple[int, int]], n: int = 1) -> dict[int, int]:
        worker.held.setdefault(jid, (n, b"lease"))
        self.ports.report(worker, Report(jid, n, tcp))
        for _ in range(8):
            await asyncio.sleep(0.005)
        return self.ports.of(worker.kind.account, jid)


@pytest.fixture
def first() -> int:
    """The first of some free ports."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", 0))
        return min(int(probe.getsockname()[1]), 65_000)


def test_each_port_has_a_place_and_an_end(first: int) -> None:
    async def scene() -> None:
        made = Scene(first, first + 20)
        one, two = made.workers
        mine = await made.report(one, 7, [(80, 0), (8000, 0)])
        theirs = await made.report(two, 8, [(80, 0)])
        assert mine.keys() == {80, 8000} and len({*mine.values(), *theirs.values()}) == 3
        assert made.ports.of(2, 7) == {} and made.ports.of(1, 8) == {}
        shown = made.ports.shown(1, 7, ("127.0.0.1", 22_222))
        assert shown["tcp"][80] == {"address": "127.0.0.2", "port": mine[80]} and shown["tcp"][22]["username"] == "7"
        assert await made.report(one, 7, [(8000, 0)]) == {8000: mine[8000]}
        assert (await made.report(one, 9, [(80, 0)]))[80] == mine[80], "the lowest free one"
        told = made.lines[1].told
        assert [m for m in told if isinstance(m, Mapped)][0].tcp == mine
        assert [m for m in told if isinstance(m, Neighbours)][-1].ports == sorted([mine[80], mine[8000]])
        assert all(theirs[80] not in m.ports for m in told if isinstance(m, Neighbours))
        assert await made.report(one, 7, []) == {}
        made.ports.gone(one)
        assert made.ports.of(1, 9) == {}

    asyncio.run(scene())


def test_a_port_is_kept_over_a_restart_unless_it_is_taken(first: int) -> None:
    async def scene() -> None:
        made = Scene(first, first + 20)
        one, two = made.workers
        assert await made.report(one, 7, [(80, first + 9)]) == {80: first + 9}
        assert (await made.report(two, 8, [(80, first + 9), (81, 1)]))[80] != first + 9
        one.held[7] = (2, b"next")
        assert await made.report(one, 7, [(80, 0)], n=1) == {}, "an attempt that has ended"
        one.held.clear()
        made.ports.settle(one)
        assert made.ports.of(1, 7) == {}

    asyncio.run(scene())


def test_ports_that_others_have_are_left_out(first: int) -> None:
    async def scene() -> None:
        made = Scene(first, first + 20)
        with socket.create_server(("127.0.0.2", first)):
            assert (await made.report(made.workers[0], 7, [(80, 0)]))[80] != first
        made.refused = {first + 1, first}
        assert (await made.report(made.workers[0], 9, [(80, 0)]))[80] not in made.refused
        narrow = Scene(first + 5, first + 5)
        assert len(await narrow.report(narrow.workers[0], 7, [(80, 0), (81, 0)])) == 1

    asyncio.run(scene())


def test_who_waits_is_woken(first: int) -> None:
    async def scene() -> None:
        made = Scene(first, first + 20)
        event: Any = asyncio.Event()
        with made.ports.watching(7, event):
            await made.report(made.workers[0], 7, [(80, 0)])
            assert event.is_set()
            event.clear()
            made.ports.started([7])
            assert event.is_set()
        made.ports.started([7])

    asyncio.run(scene())
