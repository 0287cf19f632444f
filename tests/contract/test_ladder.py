"""What jobs may rely on, on every rung that isolates them; test_rung_b.py runs this as an ordinary user."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cloud
from picloud.sandbox import clear
from tests.conftest import Server

PATIENCE = 30.0
MIB = 1 << 20

pytestmark = [pytest.mark.live]


def run(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return cloud.result(cloud.call(function, *args, **options), timeout=PATIENCE)


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_the_rung_is_told(server: Server) -> None:
    found = server.picloud("status")["sandbox"]
    assert found["rung"] == ("B" if os.geteuid() else "A"), found
    features = {one["name"]: one for one in found["features"]}
    assert features["isolation"]["ok"] and features["interpreter"]["ok"], found
    assert all(one["ok"] or one["text"] for one in found["features"])


def test_calls_maps_programs_and_large_results(server: Server) -> None:
    assert cloud.result(cloud.map(lambda n: n * n, range(20)), timeout=PATIENCE) == [n * n for n in range(20)]
    assert len(run(lambda: bytes(3 * MIB))) == 3 * MIB
    assert run(lambda data: len(data), bytes(3 * MIB)) == 3 * MIB
    jid = server.picloud("exec", "sh", "-c", "id -un; pwd")
    cloud.join(jid["jid"] if isinstance(jid, dict) else jid, timeout=PATIENCE)


def test_a_job_is_an_ordinary_user_who_sees_nothing_of_the_host(server: Server) -> None:
    state, secret = str(server.home), Path("/etc/shadow")

    def look() -> dict[str, Any]:
        import cloud

        closed = []
        for path in (state, str(secret), "/root/.ssh", "/var/run/docker.sock"):
            try:
                os.listdir(path) if os.path.isdir(path) else open(path).close()
            except OSError:
                closed.append(path)
        return {
            "who": (os.getuid(), os.getgid(), os.environ["HOME"], os.getcwd()),
            "closed": len(closed),
            "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
            "inside": cloud.running_on_cloud(),
            "jid": run_inside(),
        }

    def run_inside() -> int:
        import cloud

        return int(cloud.result(cloud.call(lambda: 7)))

    found = run(look)
    assert found["who"] == (1000, 1000, "/home/picloud", "/home/picloud")
    assert found["closed"] == 4
    assert len(found["processes"]) <= 3, "the shim and the job"
    assert found["inside"] and found["jid"] == 7


def test_the_host_is_not_reached_from_a_job(server: Server) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as question:
            try:
                question.connect(("192.0.2.1", 9))
                own = question.getsockname()[0]
            except OSError:
                own = "127.0.0.1"

        def reach() -> list[str]:
            said = []
            for host in ("127.0.0.1", own, "10.0.2.2", "169.254.169.254"):
                try:
                    socket.create_connection((host, port), 2.0).close()
                    said.append(f"reached {host}")
                except OSError:
                    continue
            return said

        assert run(reach) == []


def test_two_jobs_listen_on_one_port(server: Server) -> None:
    def serve() -> bool:
        with socket.create_server(("0.0.0.0", 8080)):
            threading.Event().wait(0.5)
        return True

    assert cloud.result(cloud.map(lambda _: serve(), range(2)), timeout=PATIENCE) == [True, True]


def test_out_of_memory_ends_the_job_alone(server: Server) -> None:
    def eat(size: int) -> int:
        held = []
        for _ in range(size // MIB):
            held.append(b"x" * MIB)
        return len(held)

    assert run(eat, 50 * MIB, _type="c1") == 50
    jid = cloud.call(eat, 4_000 * MIB, _type="c1")
    with pytest.raises(cloud.CloudException):
        cloud.result(jid, timeout=PATIENCE)
    assert cloud.info(jid, ["cause"])[jid]["cause"] == "out_of_memory"
    assert run(eat, 50 * MIB, _type="c1") == 50


def test_killing_leaves_nothing_and_the_next_job_finds_nothing(server: Server) -> None:
    def leave() -> None:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                Path("/tmp/left").write_text("x")
                os.execvp("sleep", ["sleep", "4711"])
            os._exit(0)
        print("left", flush=True)
        threading.Event().wait(300)

    jid = cloud.call(leave)
    until(lambda: "left" in cloud.info(jid, ["stdout"])[jid]["stdout"])
    inside = {pid for pid, _ in clear.sandboxed(server.home / "work")}
    cloud.kill(jid)
    cloud.join(jid, timeout=PATIENCE, ignore_errors=True)
    until(lambda: not any(_sleeps(pid) for pid in inside))

    def finds() -> tuple[list[str], list[str]]:
        mine = [name for name in os.listdir("/tmp") if os.lstat(f"/tmp/{name}").st_uid == os.getuid()]
        return mine, [Path(f"/proc/{name}/cmdline").read_text() for name in os.listdir("/proc") if name.isdigit()]

    files, processes = run(finds)
    assert files == [] and len(processes) <= 3, processes  # others' folders lead to an interpreter there


def _sleeps(pid: int) -> bool:
    try:
        return b"4711" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.slow
def test_cpu_time_is_shared_in_proportion_to_compute_units(server: Server) -> None:
    core = max(os.sched_getaffinity(0))

    def burn(begin: float) -> tuple[bool, float]:
        os.sched_setaffinity(0, {core})
        ready = time.time() < begin
        while time.time() < begin:
            time.sleep(0.01)
        end, used = begin + 6, time.process_time()
        while time.time() < end:
            pass
        return ready, time.process_time() - used

    for name in ("c1", "f2"):
        run(lambda: None, _type=name)
    begin = time.time() + 4
    jids = [cloud.call(burn, begin, _type=name) for name in ("c1", "f2")]
    (both, small), (ready, large) = cloud.result(jids, timeout=PATIENCE)
    assert both and ready, "they began together"
    assert 5.5 * 0.85 < large / small < 5.5 * 1.15
