"""Terminals in a browser: a ticket, a WebSocket to the edge, a shell in the job; and who is refused."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import cloud
from cloud import _session
from picloud.cli.call import Server as At
from picloud.cli.call import call
from tests.conftest import Server, serving
from tests.flow.shells import sleeping

pytestmark = pytest.mark.live
DEADLINE = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of its own: accounts and keys come and go here."""
    with serving() as made:
        yield made


@pytest.fixture(scope="module")
def jid(server: Server) -> Iterator[int]:
    server.use()
    with sleeping() as jid:
        wait(jid)
        yield jid


def wait(jid: int) -> None:
    """Until the job runs."""
    while not (found := _session.session().link.json("GET", f"/v1/job/{jid}/wait?status=processing", None))["found"]:
        assert not found["over"], found


def mine(server: Server) -> At:
    return At(server.url, server.key, server.secret)


def opened(at: Any, jid: int, **size: int) -> dict[str, Any]:
    return dict(call(at, "POST", f"/v1/job/{jid}/terminal", size))


def enter(made: dict[str, Any], **more: Any) -> ClientConnection:
    return connect(made["url"], open_timeout=DEADLINE, close_timeout=10, proxy=None, **more)


def until(line: ClientConnection, text: bytes) -> bytes:
    """Everything printed up to this."""
    said = b""
    while text not in said:
        part = line.recv(DEADLINE)
        assert isinstance(part, bytes), part
        said += part
    return said


def end_of(line: ClientConnection) -> tuple[int, str]:
    """How the far end ended it."""
    with pytest.raises(ConnectionClosed) as ended:
        listen(line)
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code, ended.value.rcvd.reason


def listen(line: ClientConnection) -> None:
    while True:
        line.recv(DEADLINE)


def test_ls_of_the_bucket(server: Server, jid: int) -> None:
    cloud.bucket.putf(b"hello", "seen-from-the-terminal")
    with enter(opened(mine(server), jid), origin=server.url) as line:
        line.send(b"ls /bucket; echo $((40+2))listed\n")
        assert b"seen-from-the-terminal" in until(line, b"42listed")


def test_a_shell_in_the_job_by_its_size(server: Server, jid: int) -> None:
    with enter(opened(mine(server), jid, rows=40, cols=120), origin=server.url) as line:
        line.send(b"stty size; echo $((40+2)):$PICLOUD_JID\n")
        said = until(line, f"42:{jid}".encode())
        assert b"40 120" in said
        line.send(json.dumps({"rows": 33, "cols": 99}))
        line.send(b"stty size; exit 7\n")
        assert b"33 99" in until(line, b"33 99")
        assert end_of(line) == (1000, "exit 7")


def test_a_large_output_comes_whole(server: Server, jid: int) -> None:
    with enter(opened(mine(server), jid)) as line:
        line.send(b"stty -echo; clear; seq 1 200000; echo o''ver\n")
        said = until(line, b"over")
        numbers = [int(found) for found in re.findall(rb"(\d+)\r$", said, re.MULTILINE)]
        assert numbers == list(range(1, 200_001))


def test_a_ticket_works_once(server: Server, jid: int) -> None:
    made = opened(mine(server), jid)
    with enter(made) as line:
        line.send(b"echo $((1+1))in\n")
        until(line, b"2in")
        with enter(made) as second:
            code, reason = end_of(second)
            assert code == 4401 and "was used" in reason
        line.send(b"echo $((1+2))still\n")
        until(line, b"3still")


def test_pages_of_other_origins_get_no_socket(server: Server, jid: int) -> None:
    made = opened(mine(server), jid)
    for origin in ("http://evil.example", made["url"].replace("ws", "http", 1).partition("/terminal")[0], "null"):
        with pytest.raises(InvalidStatus) as refused:
            enter(opened(mine(server), jid), origin=origin)
        assert refused.value.response.status_code == 403
    with enter({"url": made["url"].partition("?")[0]}) as line:
        assert end_of(line)[0] == 4401


def test_what_is_said_must_be_sizes(server: Server, jid: int) -> None:
    with enter(opened(mine(server), jid)) as line:
        line.send("rm -rf")
        assert end_of(line)[0] == 1003


def test_only_running_jobs_of_the_account_are_entered(server: Server, jid: int) -> None:
    made = server.picloud("admin", "account", "add", "terminallab")
    theirs = At(server.url, str(made["api_key"]), made["api_secretkey"])
    with pytest.raises(cloud.CloudException, match="no job|no such"):
        opened(theirs, jid)
    done = cloud.call(abs, -1)
    assert cloud.result(done) == 1
    with pytest.raises(cloud.CloudException, match="does not run"):
        opened(mine(server), done)
    reader = call(mine(server), "POST", "/v1/key", {"scopes": ["jobs", "read"]})
    with pytest.raises(cloud.CloudException, match="lacks the scope code"):
        opened(At(server.url, str(reader["api_key"]), reader["api_secretkey"]), jid)


def test_a_job_that_ended_since(server: Server) -> None:
    with sleeping() as brief:
        wait(brief)
        made, late = opened(mine(server), brief), opened(mine(server), brief)
        with enter(made) as line:
            line.send(b"echo $((1+1))in\n")
            until(line, b"2in")
            cloud.kill(brief)
            code, reason = end_of(line)
            assert (code, reason.startswith(f"job {brief} is over")) == (4410, True) or reason.startswith("signal "), reason
        cloud.join(brief, ignore_errors=True)
        with enter(late) as line:
            code, reason = end_of(line)
            assert code == 4409 and "ended" in reason


@contextmanager
def begun(at: Any, jid: int) -> Iterator[ClientConnection]:
    """A terminal whose shell has answered."""
    with enter(opened(at, jid)) as line:
        line.send(b"echo $((1+1))in\n")
        until(line, b"2in")
        yield line


def with_key(server: Server) -> tuple[Any, Callable[[], Any]]:
    made = call(mine(server), "POST", "/v1/key", {"scopes": ["jobs", "code"]})
    off = {"api_key": made["api_key"], "active": False}
    at = At(server.url, str(made["api_key"]), made["api_secretkey"])
    return at, lambda: call(mine(server), "POST", "/v1/key/change", off)


def test_a_key_that_is_switched_off_ends_what_it_opened(server: Server, jid: int) -> None:
    at, switch_off = with_key(server)
    with begun(at, jid) as line, begun(mine(server), jid) as stays:
        late = opened(at, jid)
        switch_off()
        assert end_of(line)[0] == 4401
        with enter(late) as refused:
            assert end_of(refused)[0] == 4401
        stays.send(b"echo $((1+2))still\n")
        until(stays, b"3still")


def test_a_logout_ends_what_the_login_opened(server: Server, jid: int) -> None:
    ticket = call(mine(server), "POST", "/v1/login/ticket", {})["ticket"]
    token = call(mine(server), "POST", "/v1/login", {"ticket": ticket})["token"]

    def ask(path: str) -> Any:
        asked = urllib.request.Request(server.url + path, b"{}", {"Authorization": f"Bearer {token}"}, method="POST")
        with urllib.request.urlopen(asked, timeout=DEADLINE) as answer:
            return json.load(answer)

    with enter(ask(f"/v1/job/{jid}/terminal")) as line:
        line.send(b"echo $((1+1))in\n")
        until(line, b"2in")
        ask("/v1/logout")
        assert end_of(line)[0] == 4401


def test_setup_jobs_are_entered_too(server: Server) -> None:
    server.use()
    name = "terminal-env"
    cloud.environment.create(name)
    found = next(
        one for one in _session.session().link.json("GET", "/v1/environment", None)["environments"] if one["name"] == name
    )
    with begun(mine(server), int(found["setup_jid"])) as line:
        line.send(b"exit\n")
        assert end_of(line) == (1000, "exit 0")
