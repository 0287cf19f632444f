"""Sockets to listen on, and who is in the way."""

import os
import socket

import pytest

from picloud.server import address
from picloud.wire.error import SetupError


def test_port_0_takes_a_free_one() -> None:
    with address.listen("127.0.0.1", 0) as one, address.listen("127.0.0.1", 0) as two:
        assert 0 != one.getsockname()[1] != two.getsockname()[1] != 0


def test_outgoing_connections_cannot_be_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_first_given", lambda: address.QUIET.stop)
    with address.listen("127.0.0.1", 0) as quiet:
        assert quiet.getsockname()[1] in address.QUIET
        port = quiet.getsockname()[1]
        monkeypatch.setattr(address.random, "sample", lambda *_: [port] * 3)
        with address.listen("127.0.0.1", 0) as other:
            assert other.getsockname()[1] not in (0, port)
    monkeypatch.setattr(address, "_first_given", lambda: 1024)
    with address.listen("127.0.0.1", 0) as any_other:
        assert any_other.getsockname()[1]


def test_a_port_in_use_names_its_holder() -> None:
    with address.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"port {port} of 127.0.0.1 is in use by pid {os.getpid()} \(\S*python") as caught:
            address.listen("127.0.0.1", port)
    assert "--port 0" in (caught.value.hint or "")


def test_the_former_port_is_preferred_while_it_is_free() -> None:
    with address.listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
    with address.listen("127.0.0.1", 0, prefer=port) as again:
        assert again.getsockname()[1] == port
        with address.listen("127.0.0.1", 0, prefer=port) as other:
            assert other.getsockname()[1] != port


@pytest.mark.parametrize(
    ("host", "text"), [("192.0.2.7", "is not an address of this machine"), ("no.such.host.invalid", "there is no address")]
)
def test_a_foreign_address_is_one_clear_line(host: str, text: str) -> None:
    with pytest.raises(SetupError, match=text):
        address.listen(host, 0)


def test_ipv6_is_served() -> None:
    with address.listen("::1", 0) as made:
        assert made.family == socket.AF_INET6


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("", True),
        ("localhost", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("a.b", False),
    ],
)
def test_is_loopback(host: str, loopback: bool) -> None:
    assert address.is_loopback(host) is loopback


def test_url() -> None:
    assert address.url("::1", 7421, tls=True) == "https://[::1]:7421"
    assert address.url("10.0.0.1", 80, tls=False) == "http://10.0.0.1:80"


def test_every_address_becomes_one_that_others_can_use() -> None:
    assert address.reachable("0.0.0.0") not in ("0.0.0.0", "")
    assert address.reachable("here.example") == "here.example"
