"""Sessions by ssh last no longer than what opened them, and who is refused is written down and slowed down."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import _identity
from cloud.shortcuts.ssh import get_ssh_info
from picloud.cli.call import Server as At
from picloud.cli.call import call
from tests.conftest import Server, serving
from tests.flow.shells import DEADLINE, run, sleeping


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of its own: these tests use up tries."""
    with serving(f"interpreters = {[tempfile.gettempdir(), sys.prefix, sys.base_prefix]}\n") as made:
        yield made


def pair(folder: Path, jid: int) -> tuple[str, str]:
    """A new key pair: the file of its private half, and its public one."""
    folder.mkdir()
    file = folder / "key"
    shutil.copy(Path(get_ssh_info(jid, DEADLINE)["identity"]).with_name("known_hosts"), folder)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    return str(file), file.with_suffix(".pub").read_text().strip()


@contextmanager
def inside(jid: int, identity: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A session that has begun."""
    words = [*_identity.command({**get_ssh_info(jid, DEADLINE), "identity": identity, **more}), "echo in; exec sleep 600"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as session:
        assert session.stdout is not None
        try:
            assert session.stdout.readline() == b"in\n", session.stderr.read() if session.stderr else b""
            yield session
        finally:
            session.kill()


def ended(session: subprocess.Popen[bytes], act: Callable[[], Any]) -> bytes:
    """What is said when a session ends of this, within seconds."""
    assert session.poll() is None
    act()
    begun = time.monotonic()
    assert session.wait(DEADLINE) == 255 and time.monotonic() - begun < 10
    assert session.stderr is not None
    return session.stderr.read()


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def refusals(server: Server) -> list[dict[str, Any]]:
    return [one for one in server.picloud("admin", "audit") if one["act"] == "ssh.wrong"]


def test_a_session_ends_with_its_key_and_no_other_does(server: Server, tmp_path: Path) -> None:
    with sleeping() as jid:
        mine = At(server.url, server.key, server.secret)
        opened = []
        for name in ("first", "second", "third"):
            made = call(mine, "POST", "/v1/key", {"note": name})
            file, public = pair(tmp_path / name, jid)
            call(mine, "POST", "/v1/key/ssh", {"api_key": made["api_key"], "public": public})
            opened.append((made["api_key"], file))
        (first, file), (second, other), (third, last) = opened
        with inside(jid, file) as session, inside(jid, other) as stays, inside(jid, last) as loses:
            off = {"api_key": first, "active": False}
            assert b"switched off" in ended(session, lambda: call(mine, "POST", "/v1/key/change", off))
            said = run([*_identity.command({**get_ssh_info(jid), "identity": file}), "true"])
            assert said.returncode == 255, "nor is there a new one"
            bare = {"api_key": third, "scopes": ["jobs", "read"]}
            ended(loses, lambda: call(mine, "POST", "/v1/key/change", bare))
            assert stays.poll() is None
            soon = {"api_key": second, "expires": int(time.time() * 1000) + 300}
            ended(stays, lambda: call(mine, "POST", "/v1/key/change", soon))


def test_sessions_and_work_end_with_their_account(server: Server, tmp_path: Path) -> None:
    made = server.picloud("admin", "account", "add", "sshlab")
    theirs = At(server.url, str(made["api_key"]), made["api_secretkey"])
    cloud.setkey(made["api_key"], made["api_secretkey"], server.url)
    jid = cloud.shell.execute("exec sleep 600", {})
    with inside(jid, get_ssh_info(jid, DEADLINE)["identity"]) as session:
        token = call(theirs, "POST", "/v1/login/ticket", {})["ticket"]
        ended(session, lambda: server.picloud("admin", "account", "deactivate", "sshlab"))
    for ask in (lambda: call(theirs, "GET", "/v1/server"), lambda: call(theirs, "POST", "/v1/login", {"ticket": token})):
        with pytest.raises(cloud.CloudException):
            ask()
    assert [one["active"] for one in server.picloud("admin", "account", "list") if one["name"] == "sshlab"] == [False]
    server.picloud("admin", "account", "activate", "sshlab")
    assert cloud.status(jid) == "killed"
    assert cloud.result(cloud.call(abs, -3)) == 3
    server.use()
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([sys.executable, "-m", "picloud", "admin", "account", "deactivate", server.account()], check=True,
                       capture_output=True, timeout=60)  # fmt: skip
    acts = [one for one in server.picloud("admin", "audit") if one["act"] == "account.change"]
    assert [one["facts"]["active"] for one in acts] == [True, False]


def test_what_waits_of_an_account_waits_until_it_is_on_again(server: Server) -> None:
    made = server.picloud("admin", "account", "add", "waitlab")
    cloud.setkey(made["api_key"], made["api_secretkey"], server.url)
    running = cloud.call(time.sleep, 600)
    until(lambda: cloud.status(running) == "processing", "it does not run")
    later = cloud.call(abs, -4, _depends_on=[running], _depends_on_errors="ignore")
    server.picloud("admin", "account", "deactivate", "waitlab")
    server.picloud("restart")
    server.picloud("admin", "account", "activate", "waitlab")
    assert cloud.result(later) == 4
    server.use()


def test_who_is_refused_is_written_down_and_slowed_down(server: Server, tmp_path: Path) -> None:
    with sleeping() as jid:
        file, _ = pair(tmp_path / "nobody", jid)
        words = [*_identity.command({**get_ssh_info(jid, DEADLINE), "identity": file}), "true"]
        before = len(refusals(server))
        assert run(words).returncode == 255
        rows = until(lambda: len(found := refusals(server)) > before and found, "it was not written down")
        assert rows[0]["subject"] == f"job {jid}" and len(rows[0]["facts"]["keys"]) == 1 and rows[0]["address"]
        for _ in range(60):
            said = run(words)
            assert said.returncode == 255
            if b"too many tries" in said.stderr:
                break
        else:
            pytest.fail("nobody is slowed down")
        count = len(refusals(server))
        assert run(words).returncode == 255
        assert len(refusals(server)) == count, "who is turned away is not in the log each time"
