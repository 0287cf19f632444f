"""Control groups of this machine, v1 or v2 as it has them: limits hold, figures are right, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from picloud.sandbox import cgroup
from picloud.sandbox.base import Gauge, Limits
from picloud.wire.error import SetupError

MB = 1 << 20
WAIT = 20
"""Seconds within which everything here happens many times over."""

CHILD = """
import mmap, os, subprocess, sys, time
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
for fd in map(int, sys.argv[1].split(",")):
    os.write(fd, b"0")
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""
"""Drops its rights, enters, and does what it is told line by line."""


class Child:
    """A process in a group."""

    def __init__(self, group: cgroup.Cgroup) -> None:
        fds = group.entrances()
        words = [sys.executable, "-c", CHILD, ",".join(map(str, fds))]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=fds, text=True)
        for fd in fds:
            os.close(fd)
        self.do("pass")

    def send(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def do(self, line: str) -> None:
        assert self.process.stdout
        self.send(line)
        assert self.process.stdout.readline() == "done\n", self.process.wait(WAIT)

    def end(self) -> None:
        with self.process:  # closes its pipes, of which its own children may hold the other ends
            self.process.kill()


@pytest.fixture
def root() -> Iterator[cgroup.Root]:
    """The groups of an installation of this test's own."""
    found = cgroup.probe(f"test-{os.getpid()}")
    if not found.root or not set(found.root.places) >= {"memory", "cpuacct", "pids"}:
        pytest.skip(f"no control groups: {found.lacks}")
    try:
        yield found.root
    finally:
        found.root.sweep(set())
        assert found.root.remove()


@pytest.fixture
def group(root: cgroup.Root) -> cgroup.Cgroup:
    return root.create("one", Limits(memory=100 * MB, units=1000, pids=30))


@pytest.fixture
def child(group: cgroup.Cgroup) -> Iterator[Child]:
    made = Child(group)
    yield made
    made.end()


def exists(root: cgroup.Root) -> bool:
    """Some folder of the installation is there."""
    return any((place.folder / f"picloud-test-{os.getpid()}").exists() for place in root.places.values())


def about(value: int, expected: int, slack: int = 4 * MB) -> bool:
    return abs(value - expected) <= slack


def test_probing_leaves_nothing(root: cgroup.Root) -> None:
    assert not exists(root)
    assert cgroup.find(f"test-{os.getpid()}")


def test_a_process_without_rights_enters_every_controller(group: cgroup.Cgroup, child: Child) -> None:
    assert group.members() == [child.process.pid]
    inside = Path(f"/proc/{child.process.pid}/cgroup").read_text()
    folders = {place.folder for place in group.places.values()}
    assert inside.count(f"/picloud-test-{os.getpid()}/one\n") == len(folders)
    child.do("other = subprocess.Popen(['sleep', '60'])")
    assert len(group.members()) == 2


def test_a_process_is_moved_in(group: cgroup.Cgroup) -> None:
    process = subprocess.Popen(["sleep", "60"])
    group.add(process.pid)
    assert group.members() == [process.pid]
    assert group.kill(WAIT)
    assert process.wait(WAIT) == -signal.SIGKILL


def test_memory_beyond_the_limit_kills(group: cgroup.Cgroup, child: Child) -> None:
    assert group.oom() == 0
    child.send("held = [bytearray(b'x') * (1 << 20) for _ in range(300)]")
    assert child.process.wait(WAIT) == -signal.SIGKILL
    assert group.oom() == 1
    found = group.gauge()
    assert found.kernel_kills == 1
    assert found.refused


def test_memory_below_the_limit_is_counted(group: cgroup.Cgroup, child: Child) -> None:
    before = group.gauge().memory
    child.do("held = bytearray(b'x') * (60 << 20)")
    now = group.gauge()
    assert about(now.memory - before, 60 * MB)
    assert (now.limit_hits, now.refused, now.kernel_kills, now.swap or 0) == (0, 0, 0, 0)
    child.do("del held")
    assert about(group.gauge().memory, before)


def test_the_page_cache_is_no_memory_of_the_job(group: cgroup.Cgroup, child: Child, tmp_path: Path) -> None:
    before = group.gauge().memory
    here = tmp_path / "big"
    here.touch()
    here.chmod(0o666)
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(folder.stat().st_mode | 0o001)
    child.do(f"file = open({str(here)!r}, 'wb')")
    child.do("[file.write(b'x' * (1 << 20)) for _ in range(200)]")
    now = group.gauge()
    assert about(now.memory, before)
    assert now.cache is not None
    assert now.cache > 50 * MB
    assert now.limit_hits
    assert (now.refused, now.kernel_kills) == (0, 0)


def test_shared_memory_counts_as_memory(group: cgroup.Cgroup, child: Child) -> None:
    before = group.gauge().memory
    child.do("held = mmap.mmap(-1, 40 << 20); held.write(b'x' * (40 << 20))")
    found = group.gauge()
    assert about(found.memory - before, 40 * MB)
    assert about(found.cache or 0, 0)


def test_cpu_time_is_that_of_its_processes(group: cgroup.Cgroup, child: Child) -> None:
    before = group.gauge()
    child.do("end = time.process_time() + 0.3")
    child.do("[None for _ in iter(lambda: time.process_time() < end, False)]")
    after = group.gauge()
    spent = after.cpu_user_us + after.cpu_system_us - before.cpu_user_us - before.cpu_system_us
    assert 200_000 < spent < 400_000
    assert after.cpu_user_us >= before.cpu_user_us
    assert after.cpu_system_us >= before.cpu_system_us


def test_processes_are_limited_and_a_fork_bomb_dies(root: cgroup.Root, group: cgroup.Cgroup) -> None:
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        print(flush=True)\n"
    fds = group.entrances()
    start = f"import os\nfor fd in {fds}: os.write(fd, b'0')\n"
    process = subprocess.Popen([sys.executable, "-c", start + bomb], pass_fds=fds, stdout=subprocess.PIPE)
    for fd in fds:
        os.close(fd)
    assert process.stdout
    assert process.stdout.readline()  # a fork has failed
    assert 2 <= len(group.members()) <= 30
    assert group.gauge().forks_refused
    assert group.kill(WAIT)
    assert group.members() == []
    assert process.wait(WAIT) == -signal.SIGKILL
    process.stdout.close()
    assert group.remove(WAIT)
    assert root.remove()
    assert not exists(root)


def test_figures_outlast_the_group(group: cgroup.Cgroup, child: Child) -> None:
    child.do("held = bytearray(b'x') * (20 << 20)")
    assert group.kill(WAIT)
    assert group.remove(WAIT)
    last = group.gauge()
    assert last.cpu_user_us + last.cpu_system_us > 0
    assert last != Gauge()
    assert group.members() == []
    assert group.kill(WAIT)
    assert group.remove(WAIT)


def test_leftovers_are_swept_but_for_those_in_use(root: cgroup.Root, group: cgroup.Cgroup, child: Child) -> None:
    other = root.create("other", Limits())
    stays = Child(other)
    assert cgroup.find(f"test-{os.getpid()}")  # probing takes nothing away
    assert root.sweep({"other"}) == ["one"]
    assert child.process.wait(WAIT) == -signal.SIGKILL
    assert other.members() == [stays.process.pid]
    assert not root.remove()
    stays.end()
    assert root.sweep(set()) == ["other"]


def test_whether_a_group_is_a_leftover_is_asked_after_it_was_seen(root: cgroup.Root, group: cgroup.Cgroup) -> None:
    asked: list[str] = []

    def locked(name: str) -> bool:
        asked.append(name)
        root.create("late", Limits())
        return name == "one"

    assert root.sweep(locked) == []
    assert asked == ["one"]
    assert root.names() == ["late", "one"]


def test_the_probe_of_another_process_is_left_alone(root: cgroup.Root) -> None:
    probe = root.create("probe-0123", Limits())
    assert root.sweep(set()) == []
    assert root.names() == ["probe-0123"]
    assert probe.remove()


def test_a_name_is_taken_once_and_a_failure_leaves_nothing_half(root: cgroup.Root, group: cgroup.Cgroup) -> None:
    with pytest.raises(SetupError, match="control group"):
        root.create("one", Limits())
    place = root.places["pids"]
    blocked = place.folder / f"picloud-test-{os.getpid()}" / "two"
    blocked.mkdir()
    with pytest.raises(SetupError):
        root.create("two", Limits())
    blocked.rmdir()
    root.create("two", Limits())
    assert root.sweep(set()) == ["one", "two"]


def test_limits_of_a_group_in_use_are_raised_and_lowered(group: cgroup.Cgroup, child: Child) -> None:
    group.limit(Limits(memory=300 * MB, pids=0))
    child.do("held = bytearray(b'x') * (150 << 20)")
    if group.places["memory"].version == 1:  # v2 kills rather than refuse
        with pytest.raises(OSError, match=r"."):
            group.limit(Limits(memory=50 * MB))
    child.do("del held")
    group.limit(Limits(memory=50 * MB))
    group.limit(Limits())
    child.do("held = bytearray(b'x') * (150 << 20)")


def test_cpu_is_weighed_in_proportion_to_units(root: cgroup.Root) -> None:
    place = root.places["cpu"]
    weights = {}
    for units in (1000, 2500, 5500, 22_000, 16 * 5500):
        group = root.create(f"u{units}", Limits(units=units))
        file = "cpu.shares" if place.version == 1 else "cpu.weight"
        weights[units] = int((group.places["cpu"].folder / file).read_text())
    for units, weight in weights.items():
        assert weight / weights[1000] == pytest.approx(units / 1000, rel=0.02)


def test_names_that_are_none_are_refused(root: cgroup.Root) -> None:
    for wrong in ("", "..", "a/b", "-x", "x" * 64, "a b", "a\n"):
        with pytest.raises(ValueError, match="not a name"):
            root.create(wrong, Limits())
        with pytest.raises(ValueError, match="not a name"):
            cgroup.probe(wrong)
    assert not exists(root)


def test_without_rights_it_says_what_helps() -> None:
    code = """
import json, os
from picloud.sandbox import cgroup
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
found = cgroup.probe("nobody")
print(json.dumps([bool(found.root), [list(lack) for lack in found.lacks]]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    works, lacks = json.loads(done.stdout)
    assert works or lacks
    for name, why, remedy in lacks:
        assert name in cgroup.hierarchy.CONTROLLERS
        assert why
        assert "root" in remedy or "mount" in remedy or "Delegate" in remedy


def test_a_machine_without_a_mount_table_has_none(tmp_path: Path) -> None:
    found = cgroup.probe("here", tmp_path / "none", tmp_path / "none")
    assert found.root is None
    assert "cannot read" in found.lacks[0].why
