"""Where control groups can be made: mount tables of several machines, and v2 as this one has it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from picloud.sandbox import cgroup, hierarchy, ration
from picloud.sandbox.base import Limits
from picloud.sandbox.hierarchy import Place

WAIT = 20


class Machine:
    """A mount table and a tree of plain files in the place of v2."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "sys fs"
        self.mounts, self.own = folder / "mountinfo", folder / "cgroup"
        self.mounts.write_text("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n")
        self.own.write_text("0::/\n")

    def mount_v1(self, *controllers: str) -> Path:
        folder = self.tree / ",".join(controllers)
        folder.mkdir(parents=True)
        self._mount(folder, "cgroup cgroup rw," + ",".join(controllers))
        return folder

    def mount_v2(self, root: str = "/") -> Path:
        folder = self.tree / "unified"
        folder.mkdir(parents=True)
        self._mount(folder, "cgroup2 cgroup2 rw,nsdelegate", root)
        return folder

    def group(self, path: Path, controllers: str, passed: str = "") -> Path:
        path.mkdir(parents=True, exist_ok=True)
        (path / "cgroup.controllers").write_text(controllers)
        (path / "cgroup.subtree_control").write_text(passed)
        return path

    def find(self) -> tuple[dict[str, Place], dict[str, str]]:
        found, lacks = hierarchy.places(self.mounts, self.own)
        return found, {lack.controller: lack.remedy for lack in lacks}

    def _mount(self, folder: Path, source: str, root: str = "/") -> None:
        point = str(folder).replace(" ", "\\040")
        with self.mounts.open("a") as file:
            file.write(f"31 22 0:26 {root} {point} rw,nosuid - {source}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_v1_has_each_controller_where_it_is_mounted(machine: Machine) -> None:
    both, memory = machine.mount_v1("cpu", "cpuacct"), machine.mount_v1("memory")
    found, lacks = machine.find()
    assert found == {"cpu": Place(1, both), "cpuacct": Place(1, both), "memory": Place(1, memory)}
    assert list(lacks) == ["pids"]


def test_v2_has_all_at_one_place(machine: Machine) -> None:
    top = machine.group(machine.mount_v2(), "cpuset cpu io memory pids", "cpu memory pids")
    if os.geteuid():
        machine.own.write_text("0::/\n")
    found, lacks = machine.find()
    assert found == dict.fromkeys(hierarchy.CONTROLLERS, Place(2, top))
    assert not lacks


def test_a_mixed_machine_is_decided_controller_by_controller(machine: Machine) -> None:
    memory = machine.mount_v1("memory")
    top = machine.group(machine.mount_v2(), "cpu pids", "cpu pids")
    found, lacks = machine.find()
    assert found == {"memory": Place(1, memory)} | dict.fromkeys(("cpu", "cpuacct", "pids"), Place(2, top))
    assert not lacks


def test_a_v2_without_controllers_is_not_used(machine: Machine) -> None:
    memory, cpu = machine.mount_v1("memory"), machine.mount_v1("cpu", "cpuacct")
    machine.group(machine.mount_v2(), "hugetlb")
    found, lacks = machine.find()
    assert found == {"memory": Place(1, memory), "cpu": Place(1, cpu), "cpuacct": Place(1, cpu)}
    assert set(lacks) == {"pids"}


def test_a_delegated_group_is_used_and_says_what_was_held_back(machine: Machine) -> None:
    mine = machine.group(machine.mount_v2() / "user.slice" / "run-1.scope", "memory pids", "memory pids")
    machine.own.write_text("1:name=systemd:/user.slice\n0::/user.slice/run-1.scope\n")
    found, lacks = machine.find()
    assert found == dict.fromkeys(("memory", "pids", "cpuacct"), Place(2, mine))
    assert "Delegate=cpu" in lacks["cpu"]


def test_after_a_restart_the_group_above_its_own_is_used(machine: Machine) -> None:
    mine = machine.group(machine.mount_v2() / "run-1.scope", "cpu memory pids", "cpu memory pids")
    machine.own.write_text(f"0::/run-1.scope/{hierarchy.HOST}\n")
    assert machine.find()[0]["memory"] == Place(2, mine)


def test_in_a_container_the_mount_begins_at_its_own_group(machine: Machine) -> None:
    mine = machine.group(machine.mount_v2("/docker/12") / "inner", "cpu memory pids", "cpu memory pids")
    machine.own.write_text("0::/docker/12/inner\n")
    assert machine.find()[0]["memory"] == Place(2, mine)
    machine.own.write_text("0::/elsewhere\n")
    found, lacks = machine.find()
    assert not found
    assert set(lacks) == set(hierarchy.CONTROLLERS)


def test_controllers_are_passed_on_together_once_nobody_sits_in_the_group(machine: Machine) -> None:
    mine = machine.group(machine.mount_v2() / "run-1.scope", "cpu memory pids")
    machine.own.write_text("0::/run-1.scope\n")
    (mine / "cgroup.type").write_text("domain\n")
    (mine / "cgroup.procs").write_text("4711\n")
    hierarchy.switch_on(mine, {"cpu", "memory", "pids"})
    assert (mine / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (mine / hierarchy.HOST / "cgroup.procs").read_text() == "4711"


def test_a_group_in_a_threaded_tree_asks_for_a_scope_of_its_own(tmp_path: Path) -> None:
    lack = hierarchy.explain("memory", Place(2, tmp_path), OSError(errno.EOPNOTSUPP, "Operation not supported"))
    assert "Delegate=yes" in lack.remedy


def test_what_the_users_manager_has_is_asked_of_it(machine: Machine) -> None:
    manager = machine.group(machine.mount_v2() / "user@7.service", "cpu memory pids")
    mine = machine.group(manager / "app.slice" / "run-1.scope", "memory pids", "memory pids")
    machine.own.write_text(f"0::/{mine.relative_to(manager.parent)}\n")
    assert "systemd-run" in machine.find()[1]["cpu"]
    machine.group(manager, "memory pids")
    assert "systemctl edit user@" in machine.find()[1]["cpu"]


def test_what_the_kernel_has_switched_off_nobody_withholds(machine: Machine) -> None:
    machine.group(machine.mount_v2(), "cpu pids", "cpu pids")
    assert "cgroup_enable=memory" in machine.find()[1]["memory"]


def test_a_tree_that_is_read_only_is_told_as_such(machine: Machine) -> None:
    """As containers show it to their root."""
    top = machine.group(machine.mount_v2(), "cpu memory pids")
    code = (
        "import subprocess, sys\nfrom pathlib import Path\nfrom picloud.sandbox import hierarchy\n"
        "subprocess.run(['mount', '--bind', sys.argv[1], sys.argv[1]], check=True)\n"
        "subprocess.run(['mount', '-o', 'remount,bind,ro', sys.argv[1]], check=True)\n"
        "[print(lack.remedy) for lack in hierarchy.places(Path(sys.argv[2]), Path(sys.argv[3]))[1]]"
    )
    unshare = ["unshare", "--mount", "--propagation", "private", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    words = [*unshare, sys.executable, "-c", code, str(top), str(machine.mounts), str(machine.own)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=WAIT, check=True)
    assert done.stdout.count("mount /sys/fs/cgroup writable") == 3, done.stdout


def test_without_any_the_remedies_are_told(machine: Machine) -> None:
    found, lacks = machine.find()
    assert not found
    assert set(lacks) == set(hierarchy.CONTROLLERS)
    assert "cgroup_enable=memory" in lacks["memory"]
    assert cgroup.probe("here", machine.mounts, machine.own).root is None


def test_a_folder_that_is_no_control_group_is_found_out_by_trying(machine: Machine) -> None:
    pids = machine.mount_v1("pids")
    found = cgroup.probe("here", machine.mounts, machine.own)
    assert found.root is None
    assert "pids.max" in found.lacks[0].why or found.lacks[0].controller != "pids"
    assert list(pids.iterdir()) == []


def test_limits_of_v2_are_written_as_it_reads_them(tmp_path: Path) -> None:
    place = Place(2, tmp_path)
    for name in ("memory.max", "memory.swap.max", "memory.oom.group", "cpu.weight", "pids.max"):
        (tmp_path / name).touch()
    ration.memory(place, 300 << 20)
    ration.cpu(place, 5500)
    ration.pids(place, 64)
    assert (tmp_path / "memory.max").read_text() == str(300 << 20)
    assert (tmp_path / "memory.swap.max").read_text() == "0"
    assert (tmp_path / "memory.oom.group").read_text() == "0"
    assert (tmp_path / "cpu.weight").read_text() == "550"
    assert (tmp_path / "pids.max").read_text() == "64"
    (tmp_path / "memory.max").write_text("")
    ration.memory(place, 0)
    assert (tmp_path / "memory.max").read_text() == "max"


def test_weights_of_v2_keep_the_ratio_and_stay_legal(tmp_path: Path) -> None:
    def weight(units: int) -> int:
        (tmp_path / "cpu.weight").write_text("")
        ration.cpu(Place(2, tmp_path), units)
        return int((tmp_path / "cpu.weight").read_text())

    assert [weight(units) for units in (1000, 5500, 16 * 5500)] == [100, 550, 8800]
    assert [weight(units) for units in (0, 10**9)] == [1, 10_000]


# -- v2 of this machine, which may have no controller that is used -------------------------------------------------------


@pytest.fixture
def unified() -> Iterator[Path]:
    """A group of v2 of this test's own."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line and os.geteuid() == 0:
            folder = Path(line.split(" ")[4]) / f"picloud-test-{os.getpid()}"
            break
    else:
        pytest.skip("no cgroup2 that this process may use")
    folder.mkdir()
    yield folder
    for path in [*folder.glob("*/*/"), *folder.glob("*/"), folder]:
        path.rmdir()


def test_v2_counts_lets_in_and_kills(unified: Path) -> None:
    root = cgroup.Root("here", {"cpuacct": Place(2, unified)})
    group = root.create("one", Limits())
    fds = group.entrances()
    enter = f"import os, time\nos.setgid(65534), os.setuid(65534)\n[os.write(fd, b'0') for fd in {fds}]\n"
    burn = "os.fork()\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass\nprint(flush=True)\ntime.sleep(60)"
    words = [sys.executable, "-c", enter + burn]
    with subprocess.Popen(words, pass_fds=fds, stdout=subprocess.PIPE) as process:
        for fd in fds:
            os.close(fd)
        assert process.stdout
        assert [process.stdout.readline() for _ in range(2)] == [b"\n"] * 2
        assert len(group.members()) == 2
        found = group.gauge()
        assert 180_000 < found.cpu_user_us + found.cpu_system_us < 600_000
        assert found.kernel_kills is None
        assert not root.remove()
        assert group.kill(WAIT)
        assert process.wait(WAIT) == -signal.SIGKILL
    assert group.remove(WAIT)
    assert root.remove()


def test_processes_in_the_way_of_delegation_move_to_a_child(unified: Path) -> None:
    """Those that are used, or another that this machine's v2 has: it will do to see the kernel's rule about inner groups."""
    top = unified.parent
    names = (top / "cgroup.controllers").read_text().split()
    before = (top / "cgroup.subtree_control").read_text().split()
    if not names:
        pytest.skip("its cgroup2 has no controller at all")
    some = set(names) & {"cpu", "memory", "pids"} or {names[0]}
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            hierarchy.switch_on(top, some)
            (unified / "cgroup.procs").write_text(str(process.pid))
            hierarchy.switch_on(unified, some)
            assert set((unified / "cgroup.subtree_control").read_text().split()) == some
            assert (unified / hierarchy.HOST / "cgroup.procs").read_text().split() == [str(process.pid)]
            assert (unified / hierarchy.HOST / "cgroup.type").read_text() == "domain\n"
        finally:
            process.kill()
            process.wait()
            for folder, off in ((unified, some), (top, some - set(before))):
                for name in off:
                    (folder / "cgroup.subtree_control").write_text(f"-{name}")
