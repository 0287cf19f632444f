"""Answers on their way to the socket: in one piece where they fit, in order where they do not."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import cast

import pytest
import uvloop

from picloud.serving import Direct

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    near, far = socket.socketpair()
    near.settimeout(10)
    far.setblocking(False)
    with near, far:
        yield near, far


class Sender(asyncio.Protocol):
    """Wraps the transport of its connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.direct = Direct(cast(asyncio.Transport, transport))


async def wrapped(sock: socket.socket) -> Direct:
    _, protocol = await asyncio.get_running_loop().connect_accepted_socket(Sender, sock.dup())
    return protocol.direct


def test_parts_of_an_answer_go_as_one(pair: Pair) -> None:
    near, far = pair

    async def run() -> bytes:
        direct = await wrapped(far)
        for part in (b"head ", b"body ", b"end"):
            direct.write(part)
        direct.flush()
        got = near.recv(1000)
        direct.close()
        return got

    assert uvloop.run(run()) == b"head body end"


def test_what_was_written_goes_by_itself(pair: Pair) -> None:
    near, far = pair

    async def run() -> bytes:
        direct = await wrapped(far)
        direct.write(b"soon")
        got = await asyncio.to_thread(near.recv, 1000)
        direct.close()
        return got

    assert uvloop.run(run()) == b"soon"


def test_more_than_the_socket_takes_arrives_whole_and_in_order(pair: Pair) -> None:
    """Parts that go directly never overtake parts that wait in the loop's own transport."""
    near, far = pair
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
    got: list[bytes] = []

    def read() -> None:
        while data := near.recv(1 << 20):
            got.append(data)

    async def run() -> bytes:
        direct = await wrapped(far)
        far.close()  # the transport has its own
        sent, reader = [], threading.Thread(target=read)
        for number in range(400):
            if number == 100:
                reader.start()
            part = number.to_bytes(4, "big") * (5_000 if number % 7 == 0 else 3)
            sent.append(part)
            direct.write(part)
            if number % 3 == 0:
                direct.flush()
            if number % 11 == 0:
                await asyncio.sleep(0)
            if number % 50 == 0:
                await asyncio.sleep(0.03)  # long enough to go directly again
        direct.close()
        await asyncio.to_thread(reader.join)
        return b"".join(sent)

    sent = uvloop.run(run())
    assert b"".join(got) == sent
