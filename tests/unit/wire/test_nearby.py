"""The short way to a server of this machine, and when it is not taken."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from picloud.server.address import listen, listen_nearby
from picloud.wire import nearby


@pytest.fixture
def port() -> Iterator[int]:
    with listen("127.0.0.1", 0) as bound:
        yield int(bound.getsockname()[1])


def test_it_is_taken_where_a_server_of_ours_listens(port: int) -> None:
    (beside,) = listen_nearby(port)
    with beside, nearby.connect("127.0.0.1", port, 5.0) as made, beside.accept()[0] as theirs:
        assert made.family == socket.AF_UNIX
        made.sendall(b"x")
        assert theirs.recv(1) == b"x"


def test_nobody_there_means_tcp(port: int) -> None:
    for host in ("127.0.0.1", "localhost"):
        with nearby.connect(host, port, 5.0) as made:
            assert made.family == socket.AF_INET
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_name_that_another_user_took_is_not_trusted(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (beside,) = listen_nearby(port)
    real = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with beside, nearby.connect("127.0.0.1", port, 5.0) as made:
        assert (made.family == socket.AF_UNIX) == (real == 0), "only root and we ourselves may be behind that name"


def test_a_taken_name_is_no_trouble_for_the_server(port: int) -> None:
    (first,) = listen_nearby(port)
    with first:
        assert listen_nearby(port) == []


def test_other_machines_are_never_looked_for_here(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, real = [], socket.create_connection

    def elsewhere(place: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(place)
        return real(("127.0.0.1", port), timeout)

    monkeypatch.setattr(socket, "create_connection", elsewhere)
    (beside,) = listen_nearby(port)
    with beside, nearby.connect("192.0.2.1", port, 5.0) as made:
        assert asked == [("192.0.2.1", port)]
        assert made.family == socket.AF_INET


def test_a_connection_to_itself_is_nobody(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def itself(place: tuple[str, int], timeout: float) -> socket.socket:
        made = socket.socket()
        made.bind(("127.0.0.1", 0))
        made.connect(made.getsockname())
        return made

    monkeypatch.setattr(socket, "create_connection", itself)
    with pytest.raises(ConnectionRefusedError):
        nearby.connect("127.0.0.1", port, 5.0)
