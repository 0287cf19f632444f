"""Ports of running jobs, reached from this machine and from other jobs, under the address that info tells."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from typing import Any
from urllib.request import urlopen

import pytest

import cloud
from picloud.cli.call import Server as At
from picloud.cli.call import call
from picloud.server import home as homes
from tests.conftest import server_home, start_server, stop_server
from tests.flow.shells import DEADLINE, free_port, sleeping, ssh

pytestmark = pytest.mark.live


@pytest.fixture(autouse=True)
def _with_server(server: Any) -> None:
    """All of these run on a real server."""


def web(port: int, text: str = "", address: str = "127.0.0.1") -> str:
    """A command that serves a folder with one file."""
    return f"mkdir site; cd site; echo {text} > index.html; exec {sys.executable} -m http.server {port} --bind {address}"


def read(place: dict[str, Any]) -> str:
    with urlopen(f"http://{place['address']}:{place['port']}/", timeout=DEADLINE) as page:
        found: str = page.read().decode().strip()
        return found


def fetched(place: dict[str, Any]) -> str:
    """For a job: what another job serves."""
    import urllib.request

    address = f"http://{place['address']}:{place['port']}/"
    with urllib.request.urlopen(address, timeout=20) as page:
        found: str = page.read().decode().strip()
        return found


def test_a_web_server_of_a_job_from_here_and_from_another_job() -> None:
    port = free_port()
    with sleeping(web(port, "one")) as jid:
        place = cloud.wait_for.port(jid, port, timeout=DEADLINE)
        assert place["address"] == "127.0.0.2" and 20_000 <= place["port"] < 30_000
        ports = cloud.info(jid, "ports")[jid]["ports"]
        assert ports["tcp"][port] == place and ports["tcp"][22]["username"] == str(jid) and ports["udp"] == {}
        assert read(place) == "one"
        assert cloud.result(cloud.call(fetched, place), timeout=DEADLINE) == "one"
        assert cloud.shortcuts.get_connection_info(jid, port) == place


def test_two_jobs_with_two_ports_each_have_four_places() -> None:
    a_port, b_port, c_port, d_port = free_port(), free_port(), free_port(), free_port()
    if _isolated():
        c_port, d_port = a_port, b_port  # each has a network of its own
    command = "mkdir site; cd site; echo {} > index.html; {} -m http.server {} & exec {} -m http.server {}"
    first = command.format("a", sys.executable, a_port, sys.executable, b_port)
    second = command.format("b", sys.executable, c_port, sys.executable, d_port)
    with sleeping(first) as one, sleeping(second) as two:
        places = [cloud.wait_for.port(jid, port, timeout=DEADLINE) for jid, port in
                  ((one, a_port), (one, b_port), (two, c_port), (two, d_port))]  # fmt: skip
        assert len({place["port"] for place in places}) == 4
        assert [read(place) for place in places] == ["a", "a", "b", "b"]


def test_a_port_ends_with_its_program_and_with_its_job() -> None:
    port = free_port()
    with sleeping() as jid:
        serve = f"{sys.executable} -m http.server {port} --bind 127.0.0.1 >/dev/null 2>&1 & echo $!"
        pid = int(ssh(jid, serve).stdout)
        place = cloud.wait_for.port(jid, port, timeout=DEADLINE)
        ssh(jid, f"kill {pid}")
        _until(lambda: port not in cloud.info(jid, "ports")[jid]["ports"]["tcp"])
        _until(lambda: _refused(place))
        ssh(jid, serve)
        place = cloud.wait_for.port(jid, port, timeout=DEADLINE)
        cloud.kill(jid)
        _until(lambda: _refused(place))
        assert cloud.info(jid, "ports")[jid]["ports"] is None
        with pytest.raises(cloud.CloudException, match="ended"):
            cloud.wait_for.port(jid, port)


def test_what_cannot_be_waited_for() -> None:
    with sleeping() as jid:
        with pytest.raises(cloud.CloudTimeoutError, match="no port 9999"):
            cloud.wait_for.port(jid, 9999, timeout=0.3)
        assert cloud.wait_for.status(jid, "processing", timeout=DEADLINE) == "processing"
        cloud.kill(jid)
        with pytest.raises(cloud.CloudException, match="ended .killed. without status done"):
            cloud.wait_for.status(jid, "done", timeout=DEADLINE)
    with pytest.raises(cloud.CloudException, match="no job"):
        cloud.wait_for.port(999_999, 80)
    for act in (lambda: cloud.wait_for.port([jid], 80), lambda: cloud.wait_for.status(jid, "done", "soon")):
        with pytest.raises(TypeError):
            act()
    for other in (lambda: cloud.wait_for.port(jid, 0), lambda: cloud.wait_for.status(jid, "lost")):
        with pytest.raises(ValueError, match="no port|no status"):
            other()


def test_a_job_may_wait_for_another_jobs_port() -> None:
    port = free_port()

    def waits(jid: int) -> dict[str, Any]:
        import cloud

        return dict(cloud.wait_for.port(jid, port, timeout=20))

    with sleeping(web(port, "late")) as jid:
        place = cloud.result(cloud.call(waits, jid), timeout=DEADLINE)
        assert read(place) == "late"


def test_another_account_sees_no_ports_and_gets_no_links(server: Any) -> None:
    port = free_port()
    mine = At(server.url, server.key, server.secret)
    made = call(mine, "POST", "/v1/admin/account", {"name": "portia"})
    theirs = At(server.url, str(made["api_key"]), made["api_secretkey"])
    with sleeping(web(port)) as jid:
        cloud.wait_for.port(jid, port, timeout=DEADLINE)
        for method, path, body in (
            ("GET", f"/v1/job/{jid}/wait?port={port}", None),
            ("POST", f"/v1/job/{jid}/link", {"port": port}),
            ("POST", "/v1/job/info", {"jids": [[jid, 1]], "fields": ["ports"]}),
        ):
            with pytest.raises(cloud.CloudException, match="no job"):
                call(theirs, method, path, body)


def test_a_new_edge_and_a_new_server_show_the_same_ports() -> None:
    port = free_port()
    own = start_server(server_home())
    try:
        own.use()
        with sleeping(web(port, "stays")) as jid:
            place = cloud.wait_for.port(jid, port, timeout=DEADLINE)
            file = homes.read_server_file(own.home)
            assert file is not None and file.edge_pid is not None
            os.kill(file.edge_pid, signal.SIGKILL)
            _until(lambda: _answers(place, "stays"))
            assert ssh(jid, "echo in").stdout == b"in\n"
            own.picloud("restart")
            assert cloud.wait_for.port(jid, port, timeout=DEADLINE) == place
            assert read(place) == "stays"
            assert ssh(jid, "echo in").stdout == b"in\n"
    finally:
        cloud.close()
        stop_server(own)


def _isolated() -> bool:
    """Whether jobs have networks of their own here."""
    with sleeping() as jid:
        return ssh(jid, "readlink /proc/self/ns/net").stdout.strip().decode() != os.readlink("/proc/self/ns/net")


def _answers(place: dict[str, Any], text: str) -> bool:
    try:
        return read(place) == text
    except OSError:
        return False


def _refused(place: dict[str, Any]) -> bool:
    try:
        socket.create_connection((place["address"], place["port"]), 5).close()
    except OSError:
        return True
    return False


def _until(condition: Any) -> None:
    import threading

    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.05)
