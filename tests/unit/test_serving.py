"""Answers on their way to the socket: in one piece where they fit, in order where they do not."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvloop

from picloud.serving import Direct


class Sender(asyncio.Protocol):
    """Takes the wrapped transport of the first connection."""

    def __init__(self) -> None:
        self.made: asyncio.Future[Direct] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.made.set_result(Direct(transport))


def received(near: socket.socket, into: list[bytes]) -> None:
    while data := near.recv(1 << 20):
        into.append(data)


def test_parts_of_an_answer_go_as_one() -> None:
    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        far.setblocking(False)
        protocol = Sender()
        await loop.connect_accepted_socket(lambda: protocol, far)
        direct = await protocol.made
        for part in (b"head ", b"body ", b"end"):
            direct.write(part)
        direct.flush()
        near.settimeout(10)
        return near.recv(1000)

    assert uvloop.run(run()) == b"head body end"


def test_more_than_the_socket_takes_arrives_whole_and_in_order() -> None:
    """Parts that go directly never overtake parts that wait in the loop's own transport."""
    got: list[bytes] = []

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
        far.setblocking(False)
        protocol = Sender()
        await loop.connect_accepted_socket(lambda: protocol, far)
        direct = await protocol.made
        sent, reader = [], threading.Thread(target=received, args=(near, got))
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
        await loop.run_in_executor(None, reader.join)
        return b"".join(sent)

    sent = uvloop.run(run())
    assert b"".join(got) == sent
