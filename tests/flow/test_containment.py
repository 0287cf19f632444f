"""What a job does to itself stays with it: each is ended or bears it, is told why, and the next job runs."""

import ctypes
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cloud
from tests.flow.shells import sleeping, ssh

pytestmark = pytest.mark.live

MB = 1 << 20
HOLDS = f"import time; kept = bytearray({400 * MB}); time.sleep(1)"  # a program; where memory is watched, a look may take a while


@pytest.fixture(autouse=True)
def _with_server(server: Any) -> None:
    """All of these run on a real server."""


def ends(function: Callable[..., Any], *args: Any, **options: Any) -> dict[str, Any]:
    """How such a job ended: its info, after checking that the next one of its kind runs."""
    jid = cloud.call(function, *args, **options)
    cloud.join(jid, timeout=60, ignore_errors=True)
    kind = {name: value for name, value in options.items() if name in ("_type", "_cores")}
    assert cloud.result(cloud.call(lambda: "next", **kind), timeout=60) == "next"
    return dict(cloud.info(jid, ["status", "failure", "pilog", "memory", "stdout", "syslog"])[jid])


def eat(size: int) -> int:
    return len(bytearray(size))


def hold(size: int) -> None:
    kept = bytearray(size)
    time.sleep(1)
    del kept


@pytest.mark.slow
@pytest.mark.parametrize(
    ("takes", "size", "kind", "larger"), [(eat, 4_000_000_000, "f2", "_cores=2"), (hold, 400 * MB, "c1", "c2")]
)
def test_more_memory_than_there_is(takes: Callable[[int], Any], size: int, kind: str, larger: str) -> None:
    cloud.result(cloud.call(len, b"", _type=kind), timeout=60)
    found = ends(takes, size, _type=kind)["failure"]
    assert found["cause"] == "out_of_memory"
    assert found["peak_memory"] >= 0.9 * found["memory_limit"]
    assert larger in found["advice"] or "split the job" in found["advice"]


def test_a_program_of_the_job_that_takes_too_much_memory() -> None:
    def runs() -> None:
        subprocess.run([sys.executable, "-c", HOLDS], check=True)

    found = ends(runs, _type="c1")["failure"]
    assert found["cause"] == "out_of_memory" and "c2" in found["advice"]
    if found.get("kernel_kills") is None:  # where memory is watched, all of the job ends
        assert "ended by the worker" in found["message"]
    else:  # the kernel chooses the program, and the job fails of that
        assert "a program of runs" in found["message"]
    jid = cloud.shell.execute(f"{sys.executable} -c '{HOLDS}'", {}, _type="c1")
    cloud.join(jid, timeout=60, ignore_errors=True)
    assert cloud.info(jid, "failure")[jid]["failure"]["cause"] == "out_of_memory"
    assert cloud.result(cloud.call(lambda: 7, _type="c1"), timeout=60) == 7


def test_shared_memory_is_memory() -> None:
    def shares() -> None:
        with mmap.mmap(-1, 400 * MB) as shared:
            for at in range(0, len(shared), MB):
                shared[at : at + MB] = bytes(MB)
            time.sleep(1)

    assert ends(shares, _type="c1")["failure"]["cause"] == "out_of_memory"


def test_a_guest_takes_no_more_memory_than_the_job_may() -> None:
    with sleeping(_type="c1") as jid:
        assert ssh(jid, f"{sys.executable} -c '{HOLDS}'").returncode not in (0, 1)


def test_files_larger_than_memory_are_no_lack_of_it() -> None:
    def writes() -> None:
        with open("/tmp/file", "wb") as file:
            for _ in range(400):
                file.write(bytes(MB))
        time.sleep(0.5)

    found = ends(writes, _type="c1")
    assert found["status"] == "done"
    assert found["memory"]["failcnt"] == 0


def test_the_next_job_has_its_own_peak() -> None:
    jids = [cloud.call(hold, size, _type="c1") for size in (200 * MB, MB)]
    cloud.join(jids, timeout=60)
    first, second = (cloud.info(jid, "memory")[jid]["memory"]["max_usage"] for jid in jids)
    assert first > 200 * MB > 100 * MB > second


def test_memory_that_is_a_folder() -> None:
    def fills() -> None:
        with open("/dev/shm/file", "wb") as file:
            while True:
                file.write(bytes(MB))

    assert ends(fills, _type="c1")["failure"]["cause"] in ("out_of_memory", "exception", "storage")


def test_a_flood_of_output() -> None:
    def chatters(pieces: int) -> None:
        os.write(1, b"begin")
        for _ in range(pieces):
            os.write(1, b"x" * MB)
        os.write(1, b"end")

    found = ends(chatters, 300)
    assert found["status"] == "done"
    assert found["stdout"].endswith("end")
    assert len(found["stdout"]) < 30 * MB


def test_a_job_that_ignores_signals() -> None:
    def ignores() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(60)

    assert ends(ignores, _max_runtime=0.01)["failure"]["cause"] == "timeout"


def test_daemons_end_with_their_job() -> None:
    def leaves(word: str) -> None:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execvp("sleep", ["sleep", "600", word])
            os._exit(0)
        os.wait()

    word = "0." + "".join(str(digit) for digit in os.urandom(8))
    found = ends(leaves, word)
    assert "lived on" in found["pilog"]
    deadline = time.monotonic() + 20
    while any(word.encode() in _command(pid) for pid in os.listdir("/proc") if pid.isdigit()):
        assert time.monotonic() < deadline


def test_shared_memory_ends_with_its_job() -> None:
    def leaves() -> int:
        libc = ctypes.CDLL(None, use_errno=True)
        found = int(libc.shmget(7, 100, 0o1600))  # IPC_CREAT
        time.sleep(0.01)
        return found

    def sees() -> int:
        return Path("/proc/sysvipc/shm").read_text().count("\n") - 1

    first = cloud.call(leaves, _type="c1")
    assert cloud.result(first, timeout=60) >= 0
    assert "System V" in cloud.info(first, "pilog")[first]["pilog"]
    assert cloud.result(cloud.map(lambda _: sees(), range(4), _type="c1"), timeout=60) == [0] * 4


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _worker_sockets() -> list[int]:
    """Where a job reaches its runner's sockets."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            one = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        with one:
            if one.family == socket.AF_UNIX and one.type == socket.SOCK_SEQPACKET:
                found.append(int(name))
    return found


def _forge(flags: int, figure: int, preview: bytes = b"") -> None:
    """Tell the worker that this job has ended."""
    jid, n = int(os.environ["PICLOUD_JID"]), int(os.environ["PICLOUD_ATTEMPT"])
    frame = struct.pack("<BBHIQQQQQQI", 4, flags, len(preview), n, jid, 5, figure, figure, figure, 0, 0)
    for handle in _worker_sockets():
        try:
            os.write(handle, frame + preview + b"\x80\x04K\x05.")
        except OSError:
            continue
    time.sleep(0.5)


@pytest.mark.parametrize("data", [b"\xff" * 100, b"\x05", b"\x03" * 16, b"\x04" + b"\xff" * 200])
def test_a_runner_that_talks_nonsense(data: bytes) -> None:
    def talks() -> None:
        for handle in _worker_sockets():
            try:
                os.write(handle, data)
            except OSError:
                continue
        time.sleep(1)

    found = ends(talks)["failure"]
    assert "socket" in found["message"]


def test_figures_that_no_database_holds() -> None:
    assert "socket" in ends(lambda: _forge(0, 2**64 - 1))["failure"]["message"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "dangling", "sparse", "none"])
def test_results_that_are_no_files(kind: str) -> None:
    def forges() -> None:
        path = Path("/run/picloud/out", f"{os.environ['PICLOUD_JID']}.{os.environ['PICLOUD_ATTEMPT']}")
        if kind == "link":
            path.symlink_to("/etc/shadow")
        elif kind == "dangling":
            path.symlink_to("/nowhere")
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "sparse":
            path.touch()
            os.truncate(path, 1 << 43)
        _forge(1, 0)

    assert "socket" in ends(forges)["failure"]["message"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_stacks_that_are_no_file(kind: str) -> None:
    def replaces() -> None:
        path = Path("/run/picloud/out/stacks")
        path.unlink()
        if kind == "link":
            path.symlink_to("/etc/shadow")
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.mkdir()
        os._exit(3)

    found = ends(replaces)["failure"]
    assert found["exit_code"] == 3
    assert not found.get("stacks")


def test_a_job_that_closes_everything() -> None:
    assert ends(lambda: os.closerange(0, 1 << 16))["status"] == "error"


def test_a_job_that_removes_all_it_can() -> None:
    def removes() -> str:
        places = ["/run", "/etc", "/home", "/tmp", "/var", "/dev", "/bin", "/root", "/sys"]
        subprocess.run(["rm", "-rf", "--no-preserve-root", *places], capture_output=True, check=False)
        return " ".join(sorted(os.listdir("/run/picloud")))

    jid = cloud.call(removes)
    assert "door.sock" in cloud.result(jid, timeout=60)
    assert cloud.result(cloud.call(os.getcwd), timeout=60) == "/home/picloud"


@pytest.mark.slow
def test_folders_without_end() -> None:
    def digs() -> None:
        for place in ("/tmp", "/home/picloud", "/var/tmp", "/dev/shm"):
            os.chdir(place)
            for _ in range(1500):
                os.mkdir("d")
                os.chdir("d")
        os.chdir("/")
        os._exit(3)

    def looks() -> list[str]:
        found = [f"{place}/{name}" for place in ("/tmp", "/home/picloud", "/var/tmp", "/dev/shm") for name in os.listdir(place)]
        return [path for path in found if os.lstat(path).st_uid == os.getuid()]  # others' lead to an interpreter there

    ends(digs)
    assert cloud.result(cloud.map(lambda _: looks(), range(4)), timeout=60) == [[]] * 4


def test_modules_that_lie_in_wait() -> None:
    def lies() -> None:
        Path("json.py").write_text("raise SystemExit(7)")
        Path("sitecustomize.py").write_text("raise SystemExit(7)")
        os._exit(0)

    ends(lies)
    assert cloud.result(cloud.map(lambda n: n, range(4)), timeout=60) == [0, 1, 2, 3]


def test_a_crowd_of_processes_is_told_in_the_pi_log() -> None:
    def crowds() -> None:
        began: list[subprocess.Popen[bytes]] = []
        try:
            while True:
                began.append(subprocess.Popen(["sleep", "300"]))
        except BlockingIOError:
            time.sleep(2.5)  # a sample is taken each two seconds

    found = ends(crowds, _type="f2")
    assert "a job may have 1024 at a time for each core" in found["pilog"]


@pytest.mark.slow
def test_a_fork_bomb() -> None:
    def explodes() -> None:
        while True:
            if os.fork() == 0:
                signal.pause()

    found = ends(explodes)
    assert found["status"] == "error"
    assert found["failure"]["cause"] in ("exception", "out_of_memory")


def test_files_of_the_machine_are_named_in_the_pi_log() -> None:
    for path in ("/home/alice/data.csv", "/data/x/y.csv", "table.csv", os.path.join(os.getcwd(), "table.csv")):
        told = ends(lambda path=path: open(path))["pilog"]  # noqa: SIM115
        assert path in told and "bucket" in told and "volume" in told
    jid = cloud.shell.execute("cat /data/x.csv", {})
    cloud.join(jid, timeout=60, ignore_errors=True)
    assert "bucket" in cloud.info(jid, "pilog")[jid]["pilog"]
    assert not ends(lambda: open("/usr/nothing"))["pilog"]  # noqa: SIM115


def test_the_system_log() -> None:
    def logs() -> None:
        import syslog

        syslog.syslog("from python")
        subprocess.run(["logger", "hi"], check=True)

    found = ends(logs)["syslog"]
    assert "from python" in found and "hi" in found
