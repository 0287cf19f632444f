"""1,000 clients at once, each with a connection of its own: no error, bounded latency, bounded memory of the server."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

import cloud
from cloud._session import Session
from cloud.job import Verbs
from tests.conftest import Server, server_home, start_server, stop_server

CLIENTS = 1000
SLOWEST = 60.0
"""Seconds that no call and its result may exceed, on a busy machine of two cores."""
GROWTH = 200 << 20
"""Bytes by which the server may grow."""
USUAL_OPEN_FILES = 1024

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture
def crowded() -> Iterator[Server]:
    """A server started under the usual limit of open files; this process allows itself more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (USUAL_OPEN_FILES, hard))
    server = start_server(server_home())
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4 * CLIENTS, hard)), hard))
        yield server
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        stop_server(server)


class Client(threading.Thread):
    """Calls once, as soon as everybody is there."""

    def __init__(self, server: Server, number: int, gate: threading.Barrier) -> None:
        super().__init__(daemon=True)
        self._session, self._number, self._gate = Session(server.url, server.key, server.secret), number, gate
        self.error: Exception | None = None
        self.seconds = 0.0

    def run(self) -> None:
        verbs = Verbs(lambda: self._session)
        self._gate.wait()
        began = time.monotonic()
        try:
            assert verbs.result(verbs.call(lambda number: number * 2, self._number)) == self._number * 2
        except (cloud.CloudException, AssertionError) as error:
            self.error = error
        self.seconds = time.monotonic() - began
        self._session.link.close()


def test_a_thousand_clients_call_at_once(crowded: Server) -> None:
    process = psutil.Process(crowded.pid)
    before = process.memory_info().rss
    gate = threading.Barrier(CLIENTS)
    clients = [Client(crowded, number, gate) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert [client.error for client in clients if client.error] == []
    assert max(client.seconds for client in clients) < SLOWEST
    assert process.memory_info().rss - before < GROWTH
    log = (crowded.home / "server.log").read_text()
    assert "Traceback" not in log and "database is locked" not in log
