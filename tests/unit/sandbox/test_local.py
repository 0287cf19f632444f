"""The way into a slot that is only a process group."""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path

import pytest

from picloud.sandbox.base import Terminal
from picloud.sandbox.local import LocalInside
from picloud.wire.error import SetupError

ENV = {"PATH": os.environ["PATH"], "HOME": "/"}


@pytest.fixture
def inside(tmp_path: Path) -> LocalInside:
    return LocalInside(tmp_path / "home", ENV, lambda: [os.getpid()])


def test_a_program_with_streams(inside: LocalInside, tmp_path: Path) -> None:
    guest = inside.open(["sh", "-c", "pwd; cat; echo no >&2; exit 3"], inside.environment())
    assert guest.stdio is not None and guest.stderr is not None
    with guest.stdio, guest.stderr:
        guest.stdio.sendall(b"in")
        guest.stdio.shutdown(socket.SHUT_WR)
        assert guest.stdio.makefile("rb").read() == f"{tmp_path}/home\nin".encode()
        assert guest.stderr.makefile("rb").read() == b"no\n"
    assert guest.program.wait() == 3
    assert select.select([guest.program.pidfd], [], [], 5)[0]
    guest.program.close()


def test_a_program_on_a_terminal(inside: LocalInside) -> None:
    guest = inside.open(["sh", "-c", "stty size; echo $TERM; read end"], ENV, terminal=Terminal("vt100", 33, 99))
    said = b""
    while b"vt100" not in said:
        said += os.read(guest.terminal, 1000)
    assert b"33 99" in said and guest.stdio is None
    guest.program.signal(15)
    assert guest.program.wait() in (-15, 143)
    guest.program.close()
    os.close(guest.terminal)


def test_what_cannot_be_started(inside: LocalInside) -> None:
    for argv in (["/no/such"], ["/etc/passwd"]):
        with pytest.raises(SetupError, match=argv[0]):
            inside.open(argv, ENV)


def test_ports_are_those_of_its_own_processes(inside: LocalInside) -> None:
    assert inside.ports() == []
    with socket.create_server(("127.0.0.1", 0)) as mine, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = mine.getsockname()[1]
        assert inside.ports() == [port]
        assert inside.ports() == [port]
        with inside.connect(port) as made, mine.accept()[0] as other:
            made.sendall(b"x")
            assert other.recv(1) == b"x"
        stranger = LocalInside(Path("/"), ENV, list)
        assert stranger.ports() == []
    assert inside.ports() == []
    with pytest.raises(ConnectionError):
        inside.connect(port)
    with pytest.raises(OSError, match="host's own"):
        inside.listen("127.0.0.2", port)
