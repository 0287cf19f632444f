"""Our simplest WebSocket client against a full server's protocol."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from picloud.wire import frames
from picloud.wire.error import CloudException, NotAuthorized


class Far:
    """The other end, in a thread: lets in or refuses, then does what ``then`` says with each frame."""

    def __init__(self, then: Callable[[ServerProtocol, Frame], None], refuse: HTTPStatus | None = None) -> None:
        self.near, self._sock = socket.socketpair()
        self.near.settimeout(10)
        self._then, self._refuse = then, refuse
        self.heard: list[tuple[Opcode, bytes]] = []
        self.request: Request | None = None
        self._inbox, self._messages = frames.Inbox(), list[bytes]()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with self._sock, contextlib.suppress(ConnectionError):  # how a test ends is its own affair
            self._talk()

    def _talk(self) -> None:
        protocol = ServerProtocol(max_size=None)
        while data := self._sock.recv(1 << 20):
            protocol.receive_data(data)
            for event in protocol.events_received():
                if isinstance(event, Request):
                    self.request = event
                    refused = self._refuse
                    protocol.send_response(protocol.reject(refused, "no") if refused else protocol.accept(event))
                elif isinstance(event, Frame):
                    self.heard.append((event.opcode, bytes(event.data)))
                    self._then(protocol, event)
            for piece in protocol.data_to_send():
                self._sock.sendall(piece)
            if protocol.close_expected():
                break

    def upgrade(self, headers: str = "") -> None:
        self._messages += self._inbox.take(frames.upgrade(self.near, "localhost", "/v1/line", headers))

    def send(self, message: bytes) -> None:
        self.near.sendall(frames.framed(message))

    def receive(self) -> bytes:
        while not self._messages:
            data = self.near.recv(7_000)
            if not data:
                raise ConnectionError("closed")
            self._messages += self._inbox.take(data)
            self.near.sendall(self._inbox.replies)
            self._inbox.replies = b""
        return self._messages.pop(0)

    def close(self) -> None:
        self.near.close()
        self.thread.join(10)


@pytest.fixture
def far() -> Iterator[Callable[..., Far]]:
    made: list[Far] = []

    def make(then: Callable[[ServerProtocol, Frame], None], refuse: HTTPStatus | None = None) -> Far:
        made.append(Far(then, refuse))
        return made[-1]

    yield make
    for one in made:
        one.close()


def echo(protocol: ServerProtocol, frame: Frame) -> None:
    if frame.opcode is Opcode.BINARY:
        protocol.send_binary(bytes(frame.data))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
def test_messages_of_every_length_come_back_whole(far: Callable[..., Far], size: int) -> None:
    other = far(echo)
    other.upgrade("Authorization: Basic x\r\n")
    message = bytes(range(256)) * (size // 256 + 1)
    other.send(message[:size])
    assert other.receive() == message[:size]
    assert other.request is not None
    assert (other.request.path, other.request.headers["Authorization"]) == ("/v1/line", "Basic x")


def test_pieces_make_one_message_and_pings_in_between_are_answered(far: Callable[..., Far]) -> None:
    def in_pieces(protocol: ServerProtocol, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY:
            protocol.send_binary(b"one ", fin=False)
            protocol.send_ping(b"there?")
            protocol.send_continuation(b"two ", fin=False)
            protocol.send_continuation(b"three", fin=True)

    other = far(in_pieces)
    other.upgrade()
    other.send(b"go")
    assert other.receive() == b"one two three"
    other.send(b"again")
    assert other.receive() == b"one two three"
    assert (Opcode.PONG, b"there?") in other.heard


@pytest.mark.parametrize("code", [1000, 1012])
def test_a_closed_line_is_an_error_not_a_message(far: Callable[..., Far], code: int) -> None:
    other = far(lambda protocol, _: protocol.send_close(code))
    other.upgrade()
    other.send(b"go")
    with pytest.raises(ConnectionError):
        other.receive()


def test_a_connection_that_breaks_is_an_error(far: Callable[..., Far]) -> None:
    other = far(lambda protocol, _: protocol.fail(1011))
    other.upgrade()
    other.send(b"go")
    with pytest.raises(OSError, match=r"closed|reset"):
        other.receive()


@pytest.mark.parametrize(("status", "kind"), [(HTTPStatus.FORBIDDEN, NotAuthorized), (HTTPStatus.NOT_FOUND, CloudException)])
def test_who_may_not_open_one_is_told_so(far: Callable[..., Far], status: HTTPStatus, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        far(echo, status).upgrade()


def test_messages_are_whole_however_they_are_cut() -> None:
    sent = [b"", b"x" * 125, b"y" * 126, b"z" * 70_000, b"last"]
    protocol = ServerProtocol(max_size=None)
    protocol.state = State.OPEN
    for message in sent:
        protocol.send_binary(message)
    stream = b"".join(protocol.data_to_send())
    for step in (1, 2, 3, 7, 1000, 65_536, len(stream)):
        inbox = frames.Inbox()
        got = [message for at in range(0, len(stream), step) for message in inbox.take(stream[at : at + step])]
        assert got == sent, step


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\x01\x02\x03\x04", b"\xff\0\xff\0"])
@pytest.mark.parametrize("size", [0, 1, 5, 125, 126, 70_001])
def test_a_server_reads_what_any_client_sends(mask: bytes, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    message = bytes(range(256)) * (size // 256 + 1)
    monkeypatch.setattr(secrets, "token_bytes", lambda _: mask)
    sent = Frame(Opcode.BINARY, message[:size]).serialize(mask=True) + frames.framed(b"behind")
    for step in (1, 5, len(sent)):
        inbox = frames.Inbox(masked=True)
        got = [one for at in range(0, len(sent), step) for one in inbox.take(sent[at : at + step])]
        assert got == [message[:size], b"behind"]


def test_a_client_reads_what_a_server_sends_and_answers_its_pings() -> None:
    client, server = frames.Inbox(), frames.Inbox(masked=True)
    for size in (0, 125, 126, 65_535, 65_536):
        assert client.take(frames.unmasked(b"x" * size)) == [b"x" * size]
    assert client.take(frames.ping()) == []
    assert server.take(client.replies) == []
    with pytest.raises(ConnectionError):
        client.take(frames.closing(1012))


@pytest.mark.parametrize("bad", [frames.unmasked(b"no mask"), frames.framed(b"x" * 1001), frames.framed(b"", 0x88)])
def test_frames_that_break_the_rules_end_the_line(bad: bytes) -> None:
    with pytest.raises(ConnectionError):
        frames.Inbox(masked=True, largest=1000).take(bad)


def test_pieces_do_not_get_around_the_limit() -> None:
    inbox = frames.Inbox(masked=True, largest=1000)
    assert inbox.take(frames.framed(b"x" * 900, 0x02)) == []
    with pytest.raises(ConnectionError):
        inbox.take(frames.framed(b"x" * 900, 0x80))
