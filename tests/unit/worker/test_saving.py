"""Setup jobs at the worker: one answer for each save, and what went wrong in it."""

from __future__ import annotations

import errno
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from picloud.sandbox.base import Guest
from picloud.wire.error import CloudException, SetupError, StorageFull
from picloud.wire.message import Perform, Performed, Save, Saved, ToServer
from picloud.worker.loop import Loop
from picloud.worker.order import Order
from picloud.worker.saving import Saving, machine_of

DEADLINE = 20.0


class Program:
    """A process of this machine."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        self.pid, self.pidfd = child.pid, -1

    def wait(self) -> int:
        return self.child.wait()

    def signal(self, number: int) -> None:
        self.child.send_signal(number)

    def close(self) -> None:
        pass


class Here:
    """The way into a "sandbox" that is this machine."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.roots: list[bool] = []

    def environment(self) -> dict[str, str]:
        return self.env

    def open(self, argv: Sequence[str], env: Mapping[str, str], *, root: bool = False) -> Guest:
        ours, theirs = socket.socketpair()
        self.roots.append(root)
        with theirs:
            child = subprocess.Popen(argv, env=dict(env), stdin=theirs, stdout=theirs, stderr=theirs)
        return Guest(Program(child), ours, None)


class Machine:
    """Packs what it is told to."""

    def __init__(self, layer: bytes | Exception, env: dict[str, str]) -> None:
        self.inside: Any = Here(env)
        self.layer, self.packs = layer, 0

    def pack(self, path: Path) -> str:
        self.packs += 1
        if isinstance(self.layer, Exception):
            raise self.layer
        path.write_bytes(self.layer)
        return "d" * 64 if self.layer else ""


class Control:
    """Takes uploads."""

    def __init__(self) -> None:
        self.uploads: list[bytes] = []

    def upload(self, path: Path) -> str:
        self.uploads.append(path.read_bytes())
        return f"blob{len(self.uploads)}"


class Story:
    """A loop with its saving, and what control was told."""

    def __init__(self, folder: Path, layer: bytes | Exception = b"layer", find: Callable[..., Any] | None = None) -> None:
        self.folder, self.loop, self.control = folder, Loop(), Control()
        self.machine = Machine(layer, {"PATH": "/usr/bin:/bin", "HOME": str(folder)})
        self.told: list[Any] = []
        order = Order("", "", "", str(folder))
        self.saving = Saving(self.loop, order, self.control, self.tell, find or (lambda key: self.machine))  # type: ignore[arg-type]

    def tell(self, message: ToServer) -> None:
        self.told.append(message)
        if not isinstance(message, Performed) or message.exit_code is not None or message.error:
            self.loop.stop()

    def obey(self, message: Save | Perform) -> Any:
        """The answer to an order."""
        self.loop.running = True
        self.loop.call(lambda: self.saving.obey(message))
        watchdog = threading.Timer(DEADLINE, lambda: self.loop.call(self.loop.stop))
        watchdog.start()
        self.loop.run()
        watchdog.cancel()
        return self.told[-1]


def save(token: bytes = b"t") -> Save:
    return Save(7, 1, token)


def test_a_save_is_packed_once_and_answered_as_often_as_asked(tmp_path: Path) -> None:
    story = Story(tmp_path)
    first = story.obey(save())
    assert isinstance(first, Saved)
    assert (first.jid, first.n, first.token, first.digest, first.blob, first.size) == (7, 1, b"t", "d" * 64, "blob1", 5)
    assert story.obey(save()) == first
    assert story.machine.packs == 1 and story.control.uploads == [b"layer"]
    assert story.obey(save(b"u")).blob == "blob2"
    assert list(tmp_path.glob("layer-*")) == []


def test_what_is_installed_is_listed(tmp_path: Path) -> None:
    told = Story(tmp_path).obey(save())
    kinds = {kind for kind, _, _ in told.packages}
    assert "python" in kinds and told.python.startswith("/") and told.python_version[:2] == "3."
    assert told.packages == sorted(told.packages)


def test_nothing_changed_is_no_layer(tmp_path: Path) -> None:
    story = Story(tmp_path, b"")
    told = story.obey(save())
    assert (told.digest, told.blob, told.error) == ("", "", "")
    assert story.control.uploads == []


@pytest.mark.parametrize(
    ("error", "full"),
    [(StorageFull("the disk is full"), True), (OSError(errno.ENOSPC, "no space left"), True), (SetupError("it ended"), False)],
)
def test_a_save_that_fails_says_why_and_can_be_repeated(tmp_path: Path, error: Exception, full: bool) -> None:
    story = Story(tmp_path, error)
    told = story.obey(save())
    assert told.full is full and told.digest == ""
    assert told.error and "Traceback" not in told.error
    story.machine.layer = b"now"
    assert story.obey(save(b"again")).digest
    assert list(tmp_path.glob("layer-*")) == []


def test_a_job_that_is_gone(tmp_path: Path) -> None:
    story = Story(tmp_path, find=lambda key: machine_of([], key))
    assert "does not run any more" in story.obey(save()).error
    assert "does not run any more" in story.obey(Perform(7, 1, b"p", b"true")).error
    with pytest.raises(CloudException):
        machine_of([], (7, 1))


def test_scripts_run_with_their_arguments_and_end_with_their_code(tmp_path: Path) -> None:
    story = Story(tmp_path)
    script = b"#!/bin/sh\necho $1 $2; echo wrong >&2; cat; exit 5\n"
    last = story.obey(Perform(7, 1, b"p", script, ["a b", "c"], root=True))
    output = b"".join(told.data for told in story.told)
    assert (output, last.exit_code, last.error) == (b"a b c\nwrong\n", 5, "")
    assert story.machine.inside.roots == [True]
    assert story.obey(Perform(7, 1, b"q", b"[[ -n $BASH ]] && printf 'no words needed'")).exit_code == 0
    assert b"".join(told.data for told in story.told if told.token == b"q") == b"no words needed"


def test_offsets_count_what_was_printed_before(tmp_path: Path) -> None:
    story = Story(tmp_path)
    last = story.obey(Perform(7, 1, b"p", b"head -c 300000 /dev/zero"))
    at = 0
    for told in story.told[:-1]:
        assert told.offset == at
        at += len(told.data)
    assert (last.offset, at) == (300_000, 300_000)
