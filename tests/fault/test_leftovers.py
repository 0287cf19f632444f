"""Whatever holds a sandbox is killed: nothing of it survives, and what nobody was left to clear, the next start clears."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cloud._session import Session
from cloud.job import Verbs
from picloud.engine import process
from picloud.sandbox import cgroup, clear
from tests.conftest import Server, server_home, start_server, stop_server

PATIENCE = 20.0

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server of the module's own."""
    home = server_home()
    (home / "settings.toml").write_text("drain = 0.0\ndefault_type = 'c1'\n")
    server = start_server(home)
    try:
        yield server
    finally:
        stop_server(server)


@pytest.fixture
def verbs(own: Server) -> Iterator[Verbs]:
    session = Session(own.url, own.key, own.secret)
    made = Verbs(lambda: session)
    yield made
    with contextlib.suppress(Exception):
        made.kill()
    session.link.close()


def until(true: Callable[[], Any], what: object = "") -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what() if callable(what) else what
        threading.Event().wait(0.02)


def clinging() -> None:
    """A job that does all it can to be left behind."""
    import os
    import signal
    import socket
    import subprocess
    import time

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:  # a daemon
            os.environ.clear()
            subprocess.Popen(["sleep", "300"], env={}, start_new_session=True)
            with socket.create_server(("127.0.0.1", 8000)):
                time.sleep(300)
        os._exit(0)
    os.makedirs("deep/er")
    with open("deep/er/file", "w") as file:
        file.write("x")
    os.chmod("deep/er", 0)
    print("hold fast", flush=True)
    time.sleep(300)


class Sight(NamedTuple):
    """What of an installation is there."""

    processes: dict[int, int]  # pid -> start time
    spaces: set[str]  # network namespaces that are not ours
    groups: set[str]
    slots: set[Path]


def sight(home: Path) -> Sight:
    pids = {pid for pid, _ in clear.sandboxed(home / "work")}
    pids |= {pid for pid in process.marked(process.of_home(home)) if process.environment(pid).get(process.WORKER)}
    spaces = {space(pid) for pid in pids}
    root = cgroup.probe(process.instance(home)).root
    groups = {name for name in root.names() if not name.startswith("probe-")} if root else set()
    started = {pid: since for pid in pids if (since := process.started(pid)) is not None}
    return Sight(started, spaces - {"", os.readlink("/proc/self/ns/net")}, groups, set((home / "work").glob("*/slot-*")))


def part(home: Path, name: str) -> int:
    """The pid of the worker, of its holder, or of a part of the sandbox in which the clinging job runs."""
    pids = list(sight(home).processes)
    if name not in ("worker", "holder"):  # another slot may have a sandbox too
        [clung] = {space(pid) for pid in pids if process.command(pid)[:1] == [b"sleep"]}
        pids = [pid for pid in pids if space(pid) == clung]
    [found] = [pid for pid in pids if _is(process.command(pid), name)]
    return found


def space(pid: int) -> str:
    """The network namespace of a process; "" = it has ended."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def _is(words: list[bytes], name: str) -> bool:
    if name == "worker":
        return b"picloud.worker" in words
    first = words[0] == b"bwrap"
    return first if name == "bwrap" else not first and any(word.endswith(f"/{name}.py".encode()) for word in words)


def spaces_in_use() -> set[str]:
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"/proc/{entry}/ns/net"))
    return found


def mounted(own: Server) -> list[str]:
    """What is mounted here, but for what other tests have in their own folders."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if f" {tempfile.gettempdir()}/" not in line or str(own.home) in line]


def held(verbs: Verbs, own: Server) -> tuple[int, Sight]:
    """A job that clings, and what is there then."""
    jid = int(verbs.call(clinging))
    until(lambda: "hold fast" in str(verbs.info([jid], ["stdout"])[jid]["stdout"]), lambda: verbs.info([jid], "all"))
    until(lambda: sum(b"sleep" in process.command(pid)[:1] for pid in sight(own.home).processes) >= 1, lambda: seen(own.home))
    return jid, sight(own.home)


def seen(home: Path) -> dict[int, list[bytes]]:
    return {pid: process.command(pid)[:3] for pid in sight(home).processes}


def gone(before: Sight, *, spared: set[int] = frozenset()) -> bool:  # type: ignore[assignment]
    return not any(process.alive(pid, since) for pid, since in before.processes.items() if pid not in spared)


@pytest.mark.parametrize("name", ["worker", "holder", "bwrap", "shim"])
def test_nothing_survives_the_death_of(own: Server, verbs: Verbs, name: str) -> None:
    mounts = mounted(own)
    jid, before = held(verbs, own)
    worker, holder = part(own.home, "worker"), part(own.home, "holder")
    outer = {pid for pid in before.processes if process.environment(pid).get(process.WORKER)}
    os.kill(part(own.home, name), signal.SIGKILL)
    spared = {"worker": set(), "holder": outer - {holder}}.get(name, outer)
    spared = {pid for pid in spared if b"slirp4netns" not in b"".join(process.command(pid)[:1])}
    until(lambda: gone(before, spared=spared), lambda: {pid: process.command(pid) for pid in sight(own.home).processes})
    until(lambda: not before.spaces & spaces_in_use())
    if name == "worker":
        until(lambda: not (own.home / "work" / before.slots.copy().pop().parent.name).exists(), lambda: sight(own.home))
        assert not process.alive(worker, before.processes[worker])
    verbs.kill([jid])
    until(lambda: not before.groups & sight(own.home).groups, lambda: sight(own.home))
    assert verbs.result(verbs.call(lambda: os.listdir("/home/picloud"))) == []
    assert mounted(own) == mounts


def test_the_next_start_clears_what_nobody_was_left_to_clear(own: Server, verbs: Verbs) -> None:
    jid, before = held(verbs, own)
    server = [pid for pid in process.marked(process.of_home(own.home)) if pid not in before.processes]
    for pid in [*server, *before.processes]:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: gone(before))
    left = sight(own.home)
    assert left.slots, "the folders are still there"
    own.pid = own.picloud("up", "--port", own.url.rsplit(":", 1)[1])["pid"]
    verbs.kill([jid])
    until(lambda: not before.slots & sight(own.home).slots, lambda: sight(own.home))
    until(lambda: not before.groups & sight(own.home).groups, lambda: sight(own.home))


def test_down_leaves_nothing(own: Server, verbs: Verbs) -> None:
    _, before = held(verbs, own)
    os.kill(own.pid, signal.SIGKILL)  # nobody is left to stop the worker in order
    own.picloud("down")
    assert gone(before)
    assert sight(own.home) == Sight({}, set(), set(), set())
    assert not list((own.home / "work").iterdir())
    for folder in cgroup_folders(own.home):
        assert not folder.exists()
    own.pid = own.picloud("up", "--port", own.url.rsplit(":", 1)[1])["pid"]


def cgroup_folders(home: Path) -> list[Path]:
    root = cgroup.probe(process.instance(home)).root
    return [place.folder / f"picloud-{process.instance(home)}" for place in root.places.values()] if root else []
