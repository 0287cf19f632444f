"""One POST to an address that a user has named: where it may go, how long it may take, what is read of the answer."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvloop

from picloud.server.outward import LARGEST, Answer, post
from picloud.server.selfsigned import certificate
from tests.unit.server.receiver import Receiver, receiving

HERE = [ipaddress.ip_network(one) for one in ("127.0.0.0/8", "::1")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def sent(url: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = HERE, seconds: float = 10) -> Answer:
    """What came of a message."""
    return uvloop.run(post(url, {"webhook-id": "evt_1"}, b'{"a": 1}', networks, seconds))


def test_a_message_arrives(receiver: Receiver) -> None:
    assert sent(f"{receiver.url}/in?x=%20y") == Answer(204)
    assert asyncio.run(post(f"{receiver.url}/in?x=%20y", {}, b'{"a": 1}', HERE)) == Answer(204)
    got, _ = receiver.got
    assert (got.path, got.body, got.headers["webhook-id"]) == ("/in?x=%20y", b'{"a": 1}', "evt_1")
    assert got.headers["host"] == receiver.url.removeprefix("http://")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answers, receiver.headers = [status], {"Location": f"{receiver.url}/elsewhere"}
    assert sent(receiver.url) == Answer(status, f"answered {status}: redirects are not followed")
    assert [got.path for got in receiver.got] == ["/"]


def test_other_answers_are_told(receiver: Receiver) -> None:
    receiver.answers = [500, 404]
    assert sent(receiver.url) == Answer(500, "answered 500")
    assert sent(receiver.url) == Answer(404, "answered 404")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_name_of_a_private_address_is_refused_before_anything_is_sent(receiver: Receiver, host: str) -> None:
    answer = sent(receiver.url.replace("localhost", host), [])
    assert answer.status == 0 and ("which is not public" in answer.trouble or "is not known" in answer.trouble)
    assert receiver.got == []


def test_one_private_address_of_a_name_is_enough_to_refuse_it(receiver: Receiver) -> None:
    """Else a name of two addresses could choose at each connection."""
    found = {each[4][0] for each in socket.getaddrinfo("localhost", 80)}
    for address in found:
        network = ipaddress.ip_network(str(address))
        assert ("not public" in sent(receiver.url, [network]).trouble) == (len(found) > 1)


def test_an_unknown_name_and_a_closed_port() -> None:
    assert "nowhere.invalid is not known" in sent("http://nowhere.invalid/").trouble
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert "takes no connection" in sent(f"http://127.0.0.1:{free.getsockname()[1]}").trouble


def test_a_slow_one_is_left(receiver: Receiver) -> None:
    assert sent(f"{receiver.url}/slow", seconds=0.3) == Answer(0, "no answer within 0.3 s")


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that takes one connection, reads a request and then does as it likes; its URL."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                talk(connection)
            except OSError:
                return  # the other side has hung up

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(10)
        assert not thread.is_alive()


def test_no_more_than_64_kb_of_an_answer_are_read() -> None:
    written = 0

    def endless(connection: socket.socket) -> None:
        nonlocal written
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        connection.settimeout(20)
        while True:
            written += connection.send(bytes(65536))

    with talking(endless) as url:
        assert sent(url) == Answer(200)
    assert written < 64 * LARGEST, "the rest lay in the buffers of the two sockets"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "closed without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no proper answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "no proper answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", "no proper answer"),
    ],
)
def test_what_is_no_answer(said: bytes, why: str) -> None:
    with talking(lambda connection: connection.sendall(said)) as url:
        answer = sent(url)
    assert answer.status == 0 and why in answer.trouble


def test_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, key, _ = certificate(tmp_path, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)
    with receiving(context) as secure:
        assert sent(secure.url) == Answer(0, "TLS: self-signed certificate")
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
        assert sent(secure.url) == Answer(204)
        (got,) = secure.got
        assert got.headers["host"] == secure.url.removeprefix("https://")
