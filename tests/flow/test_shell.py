"""Running jobs entered by OpenSSH's own programs, and who is refused."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import _identity
from cloud.shortcuts.ssh import get_ssh_info
from picloud.cli.call import Server as At
from picloud.cli.call import call
from tests.conftest import PICLOUD
from tests.flow.shells import DEADLINE, copier, free_port, run, sleeping, ssh
from tests.flow.terminal import Terminal

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def jid(server: Any) -> Iterator[int]:
    server.use()
    with sleeping() as jid:
        yield jid


def test_a_command_has_its_streams_and_its_exit_code(jid: int, server: Any) -> None:
    done = ssh(jid, "cat; echo wrong >&2; exit 7", input=b"told\n")
    assert (done.stdout, done.stderr, done.returncode) == (b"told\n", b"wrong\n", 7)


def test_a_program_that_a_signal_ended(jid: int, server: Any) -> None:
    assert ssh(jid, "kill -9 $$").returncode == 255


def test_the_environment_is_the_jobs_and_nothing_secret(jid: int, server: Any) -> None:
    env = dict(line.split("=", 1) for line in ssh(jid, "env").stdout.decode().splitlines() if "=" in line)
    assert env["PICLOUD_JID"] == str(jid)
    assert not any(server.secret in value for value in env.values())


def test_the_jobs_own_client_works_in_a_session(jid: int, server: Any) -> None:
    if ssh(jid, "test -d /run/picloud/kit").returncode:
        return  # without a sandbox there is only what the machine's own PATH has
    done = ssh(jid, f"picloud -o no-header status {jid}")
    assert done.stdout.split() == [str(jid).encode(), b"processing"], done.stderr


def test_a_large_stream_comes_whole(jid: int, server: Any) -> None:
    data = os.urandom(8 << 20)
    assert ssh(jid, "cat", input=data).stdout == data


def test_copies_by_scp_sftp_and_rsync(jid: int, server: Any, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(os.urandom(3 << 20))
    words, there = copier(jid, "scp")
    assert run([*words, str(tmp_path / "data"), f"{there}:copied"]).returncode == 0
    assert run([*words, f"{there}:copied", str(tmp_path / "back")]).returncode == 0
    assert (tmp_path / "back").read_bytes() == (tmp_path / "data").read_bytes()
    words, there = copier(jid, "sftp")
    done = run([*words, "-b", "-", there], input=b"rename copied moved\nls\n")
    assert done.returncode == 0 and b"moved" in done.stdout
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "leaf").write_text("green")
    info = get_ssh_info(jid)
    shell = f"ssh {' '.join(_identity.options(info))} -p {info['port']}".replace('"', "")
    done = run(["rsync", "-a", "-e", shell, f"{tmp_path}/tree/", f"{there}:tree/"])
    assert done.returncode == 0, done.stderr
    assert ssh(jid, "cat tree/deep/leaf").stdout == b"green"


def test_a_port_of_the_job_by_forwarding(jid: int, server: Any) -> None:
    free, port = free_port(), free_port()
    with sleeping(f"exec {sys.executable} -m http.server {port} --bind 127.0.0.1") as web:
        cloud.wait_for.port(web, port, timeout=DEADLINE)
        words = _identity.command(get_ssh_info(web), "-L", f"{free}:localhost:{port}", "-o", "ExitOnForwardFailure=yes")
        # The client says when the way is open: it runs this command then.
        with subprocess.Popen([*words, "echo open; read end"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as forward:
            assert forward.stdout is not None
            assert forward.stdout.readline() == b"open\n"
            with socket.create_connection(("127.0.0.1", free), DEADLINE) as link:
                link.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert link.makefile("rb").readline().startswith(b"HTTP/1.0 200")
            forward.kill()


def test_forwarding_leads_nowhere_else(jid: int, server: Any) -> None:
    done = ssh(jid, flags=("-W", "example.org:80"))
    assert b"only ports of job" in done.stderr and done.returncode != 0
    done = ssh(jid, flags=("-W", "localhost:1"))
    assert b"nobody listens on port 1" in done.stderr


def test_many_sessions_at_once(jid: int, server: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: ssh(jid, f"echo {n}"), range(24)))
    assert [(one.stdout, one.stderr) for one in done] == [(b"%d\n" % n, b"") for n in range(24)]


def test_a_terminal_has_size_type_and_greeting(jid: int, server: Any) -> None:
    with Terminal(_identity.command(get_ssh_info(jid), "-t"), rows=31, columns=97, kind="vt100") as terminal:
        greeting = terminal.until("copy out what you want to keep")
        assert f"Job {jid}: environment " in greeting and "core" in greeting and "RAM" in greeting
        terminal.type("stty size; echo $TERM")
        terminal.until("31 97")
        terminal.until("vt100")
        terminal.resize(50, 132)
        terminal.type("while [ \"$(stty size)\" != '50 132' ]; do :; done; echo re''sized")
        terminal.until("resized")
        terminal.type("exit 5")
        assert terminal.wait() == 5


def test_the_command_line_enters_a_job(jid: int, server: Any) -> None:
    env = {**os.environ, "PICLOUD_HOME": str(server.home)}
    done = run([*PICLOUD, "ssh", str(jid), "echo", "a  b"], env=env)
    assert (done.stdout, done.returncode) == (b"a  b\n", 0), done.stderr
    assert run([*PICLOUD, "ssh", str(jid), "exit 6"], env=env).returncode == 6
    (told,) = server.picloud("ssh-info", str(jid))
    assert told["username"] == str(jid) and stat.S_IMODE(os.stat(told["identity"]).st_mode) == 0o600


@pytest.mark.parametrize("keep", [False, True])
def test_exec_shell_lasts_as_long_as_its_sessions(server: Any, keep: bool) -> None:
    words = [*PICLOUD, "exec-shell", *(["--keep-alive"] if keep else [])]
    with Terminal(words, env={**os.environ, "PICLOUD_HOME": str(server.home)}) as terminal:
        said = terminal.until("copy out what you want to keep")
        assert "Job requested as jid " in said
        jid = int(said.split("Job requested as jid ")[1].split(".")[0])
        facts = cloud.info(jid, ["label", "attributes"])[jid]
        assert facts["label"] == "exec-shell"
        assert (facts["attributes"]["priority"], facts["attributes"]["restartable"]) == (1, False)
        assert ssh(jid, "echo second").stdout == b"second\n"
        terminal.type("exit")
        assert terminal.wait() == 0
    if keep:
        assert ssh(jid, "echo still").stdout == b"still\n"
        cloud.kill(jid)
    else:
        assert cloud.wait_for.status(jid, "done", timeout=DEADLINE) == "done"


def test_sessions_end_with_their_job_and_nothing_of_them_stays(server: Any) -> None:
    with sleeping() as jid:
        words = _identity.command(get_ssh_info(jid))
        left = "setsid sleep 7531 & echo $!; exec sleep 600"
        with subprocess.Popen([*words, left], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as session:
            assert session.stdout is not None
            pid = session.stdout.readline()
            inside = ssh(jid, "readlink /proc/self/ns/pid").stdout
            cloud.kill(jid)
            assert session.wait(DEADLINE) == 255
    cloud.wait_for.status(jid, "killed", timeout=DEADLINE)
    if inside.strip() == os.readlink("/proc/self/ns/pid").encode():  # otherwise it went with its own pid namespace
        assert _gone(int(pid))


def _gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            mine = b"7531" in file.read()
        handle = os.pidfd_open(pid)
    except OSError:
        return True
    import select

    ended = not mine or bool(select.select([handle], [], [], DEADLINE)[0])
    os.close(handle)
    return ended


# -- refused ----------------------------------------------------------------------------------------------------------


def account(server: Any, name: str) -> dict[str, Any]:
    """Another account, with its key."""
    made: dict[str, Any] = call(At(server.url, server.key, server.secret), "POST", "/v1/admin/account", {"name": name})
    return made


def pair(folder: Path, jid: int) -> str:
    """A new key pair, beside what is known of the gateway; the private half's file."""
    path = folder / "pair"
    shutil.copy(Path(get_ssh_info(jid)["identity"]).with_name("known_hosts"), folder)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return str(path)


def test_a_key_pair_that_nobody_knows(jid: int, server: Any, tmp_path: Path) -> None:
    info = {**get_ssh_info(jid), "identity": pair(tmp_path, jid)}
    done = run([*_identity.command(info), "true"])
    assert done.returncode == 255
    assert b"this key pair belongs to no account here" in done.stderr and b"Permission denied" in done.stderr


def test_foreign_and_unknown_jobs_are_the_same(jid: int, server: Any, tmp_path: Path) -> None:
    other = account(server, "shelly")
    file = pair(tmp_path, jid)
    theirs = At(server.url, str(other["api_key"]), other["api_secretkey"])
    public = " ".join(Path(f"{file}.pub").read_text().split()[:2])
    call(theirs, "POST", "/v1/key/ssh", {"api_key": other["api_key"], "public": public})
    said = []
    for name in (jid, 999_999):
        done = run([*_identity.command({**get_ssh_info(jid), "identity": file, "username": str(name)}), "true"])
        assert done.returncode == 255
        said.append(done.stderr.decode().replace(f"ob {name}", "ob N").replace(f"job {name}", "job N"))
    assert said[0] == said[1] and "there is no job N" in said[0]


def test_a_job_that_has_ended_and_a_name_that_is_none(jid: int, server: Any) -> None:
    done = cloud.call(abs, -1)
    cloud.join(done, timeout=DEADLINE)
    info = {**get_ssh_info(jid), "username": str(done)}
    said = run([*_identity.command(info), "true"])
    assert said.returncode == 255 and b"has ended (done)" in said.stderr
    said = run([*_identity.command({**info, "username": "root"}), "true"])
    assert said.returncode == 255 and b"'root' is no job" in said.stderr
    with pytest.raises(cloud.CloudException, match="ended"):
        get_ssh_info(done)


def test_a_password_is_the_secret_of_a_key(jid: int, server: Any, tmp_path: Path) -> None:
    info = get_ssh_info(jid)
    for secret, code in ((server.secret, 0), ("0" * 40, 255)):
        ask = tmp_path / "ask"
        ask.write_text(f"#!/bin/sh\necho {secret}\n")
        ask.chmod(0o700)
        flags = ("-o", "PubkeyAuthentication=no", "-o", "PasswordAuthentication=yes", "-o", "NumberOfPasswordPrompts=1")
        words = [word for word in _identity.command(info, *flags) if word != "PasswordAuthentication=no"]
        words = [word for at, word in enumerate(words) if not (word == "-o" and words[at + 1 : at + 2] == ["-o"])]
        env = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
        assert run([*words, "true"], env=env).returncode == code


def test_what_is_no_public_key_is_refused(server: Any) -> None:
    mine = At(server.url, server.key, server.secret)
    for body in (
        {"api_key": int(server.key), "public": "ssh-ed25519 AAAA"},
        {"api_key": int(server.key), "public": "x" * 9000},
        {},
    ):
        with pytest.raises(cloud.CloudException):
            call(mine, "POST", "/v1/key/ssh", body)
    wrong = base64.b64encode(b"\0\0\0\x0bssh-ed25519").decode()
    with pytest.raises(cloud.CloudException, match="no key 1|no public key"):
        call(mine, "POST", "/v1/key/ssh", {"api_key": 1, "public": f"ssh-ed25519 {wrong}"})


def test_the_private_key_is_made_again_where_it_is_lost(jid: int, server: Any) -> None:
    identity = Path(get_ssh_info(jid)["identity"])
    kept = identity.with_suffix(".kept")
    shutil.move(identity, kept)
    try:
        assert ssh(jid, "echo new").stdout == b"new\n"
        assert identity.read_bytes() != kept.read_bytes()
    finally:
        shutil.move(kept, identity)
    assert ssh(jid, "echo old").stdout == b"old\n"
    assert json.loads(json.dumps(get_ssh_info(jid)))["identity"] == str(identity)
