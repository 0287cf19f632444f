"""A sandbox's first process may say what it likes: callers get an error of ours, the worker lives, no descriptor is left."""

import marshal
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from picloud.sandbox.base import Gauge
from picloud.sandbox.box import Box
from picloud.wire.error import SetupError

Answer = Callable[[socket.socket, dict[str, Any]], None]


@contextmanager
def box(answer: Answer) -> Iterator[tuple[Box, threading.Event]]:
    """A box whose shim answers each question so; and what tells that it ended."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ended = threading.Event()

    def serve() -> None:
        while data := theirs.recv(1 << 18):
            answer(theirs, marshal.loads(data))

    made = Box(ours, {}, Gauge, ended.set)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield made, ended
    finally:
        made.close()
        thread.join(10)
        theirs.close()
        assert ended.wait(10)


def says(*messages: bytes, fds: int = 0) -> Answer:
    """Answers with these, ``ID`` in them replaced, and so many descriptors of /dev/null with each."""

    def answer(line: socket.socket, asked: dict[str, Any]) -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for message in messages:
            socket.send_fds(line, [message.replace(b"ID", str(asked["id"]).encode())], [null] * fds)
        os.close(null)

    return answer


def start(made: Box) -> None:
    with pytest.raises(SetupError):
        made.start(["x"], {}, {})


@pytest.mark.parametrize(
    "message",
    [b"\xff\xfe", b"{", b"[]", b"7", b'"exit"', b'["exit"]', b"null", b"{}", b"[" * 100_000, b'{"id": "x"}', b'{"exit": 1e999}',
     b'{"exit": 1}', b'{"exit": {}, "status": []}', b'{"exit": ' + b"9" * 9000 + b', "status": 0}', b'{"id": []}'],
)  # fmt: skip
def test_what_breaks_the_rules_ends_it(message: bytes) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with box(says(message, fds=2)) as (made, ended):
        start(made)
        assert ended.wait(10)
        assert not made.alive
        start(made)
    assert len(os.listdir("/proc/self/fd")) <= before  # one of an earlier case may have closed late


@pytest.mark.parametrize(
    ("message", "fds"),
    [(b'{"id": ID}', 1), (b'{"id": ID, "pid": "x"}', 1), (b'{"id": ID, "pid": 5}', 0), (b'{"id": ID, "pid": 5}', 2),
     (b'{"id": ID, "pid": 5}', 1), (b'{"id": ID, "pid": 5}', 8), (b'{"id": ID, "pid": 5}', 30), (b'{"id": ID, "error": {}}', 1),
     (b'{"id": ID, "error": "x", "errno": {}}', 3)],
)  # fmt: skip
def test_wrong_answers_are_errors_and_leave_no_descriptor(message: bytes, fds: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with box(says(message, fds=fds)) as (made, _):
        start(made)
        with pytest.raises(SetupError):
            made.open(["x"], {})
        with pytest.raises((SetupError, OSError)):
            made.connect(80)
    assert len(os.listdir("/proc/self/fd")) <= before  # one of an earlier case may have closed late


def test_answers_to_what_nobody_asked() -> None:
    before = len(os.listdir("/proc/self/fd"))
    noise = [b'{"id": 77777}', b'{"exit": 5, "status": 9999999999999999999999}'] * 50
    with box(says(*noise, b'{"id": ID, "ports": [["0", 8000], ["0", -1], ["0", 99999]]}')) as (made, _):
        assert made.ports() == [8000]
    assert len(os.listdir("/proc/self/fd")) <= before  # one of an earlier case may have closed late


@pytest.mark.parametrize("ports", [b"5", b"null", b'{"a": 1}', b"[5]", b'[["0"]]', b'[["0", "x"]]', b"[[1, 1e999]]"])
def test_ports_that_are_none(ports: bytes) -> None:
    with box(says(b'{"id": ID, "ports": ' + ports + b"}")) as (made, _):
        assert made.ports() == []


def test_exits_without_number() -> None:
    flood = [b'{"exit": %d, "status": 1}' % number for number in range(5000)]
    with box(says(*flood, b'{"id": ID, "alone": true}')) as (made, _):
        assert made.alone()
        assert len(made._early) <= 1000
