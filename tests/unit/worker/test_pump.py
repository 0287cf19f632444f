"""Bytes through a channel, both kinds, with slow far ends."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from picloud.sandbox.base import Guest
from picloud.sandbox.local import LocalInside
from picloud.wire import channel
from picloud.wire.channel import Frame
from picloud.worker.channel import _hold, resize
from picloud.worker.guests import Guests
from picloud.worker.pump import Session, relay

ENV = {"PATH": os.environ["PATH"]}


class Far:
    """The edge's end of a session."""

    def __init__(self, guest: Guest, early: bytes = b"") -> None:
        self.line, theirs = socket.socketpair()
        self._inbox = channel.Inbox()

        def run() -> None:
            with theirs:
                Session(theirs, guest, resize).run(early)
            guest.program.close()
            for sock in (guest.stdio, guest.stderr):
                if sock is not None:
                    sock.close()

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def all(self) -> list[Frame]:
        found = []
        self.line.settimeout(20)
        while data := self.line.recv(1 << 20):
            found += self._inbox.take(data)
        self.line.close()
        self.thread.join(20)
        assert not self.thread.is_alive()
        return found


def start(tmp_path: Path, command: str) -> Guest:
    return LocalInside(tmp_path, ENV, list).open(["sh", "-c", command], ENV)


def joined(frames: list[Frame], kind: int) -> bytes:
    return b"".join(frame.data for frame in frames if frame.kind == kind)


def test_a_session_tells_both_streams_then_the_status(tmp_path: Path) -> None:
    far = Far(start(tmp_path, "cat; echo bad >&2; exit 4"), early=channel.pack(channel.DATA, b"one "))
    far.line.sendall(channel.pack(channel.DATA, b"two") + channel.pack(channel.EOF))
    frames = far.all()
    assert (joined(frames, channel.DATA), joined(frames, channel.ERRORS)) == (b"one two", b"bad\n")
    assert channel.number_of(frames[-1]) == 4 and frames[-1].kind == channel.EXIT


def test_a_session_of_many_bytes_both_ways(tmp_path: Path) -> None:
    far = Far(start(tmp_path, "cat"))
    data = os.urandom(5 << 20)

    def send() -> None:
        for at in range(0, len(data), 100_000):
            far.line.sendall(channel.pack(channel.DATA, data[at : at + 100_000]))
        far.line.sendall(channel.pack(channel.EOF))

    sender = threading.Thread(target=send)
    sender.start()
    frames = far.all()
    sender.join()
    assert joined(frames, channel.DATA) == data


def test_signals_and_programs_that_leave_a_process_behind(tmp_path: Path) -> None:
    far = Far(start(tmp_path, "sleep 600 & echo $!; exec sleep 600"))
    far.line.settimeout(20)
    said = far.line.recv(100)
    far.line.sendall(channel.number(channel.SIGNAL, 9))
    frames = far.all()
    assert channel.number_of(frames[-1]) == -9 and frames[-1].kind == channel.EXIT
    assert said


def test_a_program_whose_guest_has_gone_is_told(tmp_path: Path) -> None:
    guest = start(tmp_path, "trap 'echo hup > told; exit 1' HUP; exec 2>/dev/null; echo on; while :; do sleep 0.05; done")
    far = Far(guest)
    assert far.line.recv(100)
    far.line.close()
    far.thread.join(20)
    assert guest.program.wait() == 1
    assert (tmp_path / "told").read_text() == "hup\n"


def test_relays_end_when_both_directions_have(tmp_path: Path) -> None:
    (one, a), (two, b) = socket.socketpair(), socket.socketpair()
    thread = threading.Thread(target=relay, args=(a, b, b"early "))
    thread.start()
    data = os.urandom(3 << 20)
    sender = threading.Thread(target=lambda: (one.sendall(data), one.shutdown(socket.SHUT_WR)))
    sender.start()
    assert two.makefile("rb").read() == b"early " + data
    two.sendall(b"answer")
    two.close()
    assert one.makefile("rb").read() == b"answer"
    thread.join(20)
    assert not thread.is_alive()
    for sock in (one, a, b):
        sock.close()
    sender.join()


def test_the_pipe_of_sessions_and_what_a_job_may_put_there(tmp_path: Path) -> None:
    pipe = tmp_path / "sessions"
    os.mkfifo(pipe)
    held = _hold(pipe)
    assert held is not None
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as reader:
        os.close(held)
        assert reader.read(1) is not None
    pipe.unlink()
    secret = tmp_path / "secret"
    secret.write_text("x")
    for trap in (lambda: pipe.symlink_to(secret), lambda: pipe.write_text(""), lambda: None):
        trap()
        assert _hold(pipe) is None
        pipe.unlink(missing_ok=True)
    assert secret.read_text() == "x"


def test_guests_end_with_the_job_also_those_that_come_late(tmp_path: Path) -> None:
    guests = Guests()
    early, late = start(tmp_path, "exec sleep 600"), start(tmp_path, "exec sleep 600")
    guests.add(early)
    guests.end()
    guests.add(late)
    for guest in (early, late):
        assert guest.program.wait() < 0
        guests.remove(guest)
        guest.program.close()
        assert guest.stdio is not None and guest.stderr is not None
        guest.stdio.close()
        guest.stderr.close()
