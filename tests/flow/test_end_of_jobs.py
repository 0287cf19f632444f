"""A job ends after its files are: what it left open in /bucket is stored before anybody hears that it is done."""

from __future__ import annotations

import builtins
import hashlib
import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import cloud
from picloud.engine import process
from picloud.wire.object import Keys, Object
from tests.conftest import Server
from tests.flow.test_bucket_in_jobs import ask, content, put, shell, until

pytestmark = [pytest.mark.slow, pytest.mark.live]
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _empty(server: Any) -> Iterator[None]:
    yield
    ask("remove", Keys(prefix=""), dict[str, int])


def stored(key: str) -> bytes | None:
    found = content(key)
    return found.data if found else None


def kept(file: Any) -> None:
    """Leave something to the interpreter, beyond the job."""
    builtins.__dict__.setdefault("_kept", []).append(file)


def test_a_file_in_a_global_variable() -> None:
    def leaves() -> None:
        file = open("/bucket/log", "w")  # noqa: SIM115 - that is the point
        kept(file)
        file.write("written")
        file.flush()

    cloud.result(cloud.call(leaves), timeout=60)
    assert stored("log") == b"written"


@pytest.mark.parametrize("mode", ["a", "w"])
def test_one_that_is_open_after_jobs_that_appended(mode: str) -> None:
    def appends() -> None:
        with open("/bucket/lines", "a") as file:
            file.write("line\n")

    def leaves() -> None:
        file = open("/bucket/left", mode)  # noqa: SIM115 - that is the point
        kept(file)
        file.write("written")
        file.flush()

    for _ in range(3):  # whichever slot comes next, it has seen one
        cloud.result(cloud.map(lambda _: appends(), range(4)), timeout=60)
        cloud.result(cloud.call(leaves), timeout=60)
        assert stored("left") == b"written"
        ask("remove", Keys(["left"]), dict[str, int])


def test_shared_memory_that_later_jobs_change() -> None:
    put(table=bytes(100))

    def maps() -> None:
        file = os.open("/bucket/table", os.O_RDWR)
        memory = mmap.mmap(file, 0)
        os.close(file)
        memory[0] = 1
        kept(memory)

    def changes(i: int) -> bool:
        memory = builtins.__dict__.get("_kept", [b""])[-1]
        if isinstance(memory, mmap.mmap) and len(memory) == 100:
            memory[i] = 2
            return True
        return False

    cloud.result(cloud.call(maps), timeout=60)
    assert stored("table") == b"\1" + bytes(99)
    for i in range(1, 100):
        if cloud.result(cloud.call(changes, i), timeout=60):  # in that interpreter
            assert (stored("table") or b"")[i] == 2
            return
    raise AssertionError("no job came to the interpreter that holds the memory")


def test_much_shared_memory() -> None:
    def maps() -> None:
        file = os.open("/bucket/large", os.O_RDWR | os.O_CREAT)
        os.ftruncate(file, 100 * MIB)
        memory = mmap.mmap(file, 0)
        os.close(file)
        for at in range(0, 100 * MIB, 4096):
            memory[at] = 7
        kept(memory)

    cloud.result(cloud.call(maps), timeout=100)
    expected = hashlib.md5((b"\7" + bytes(4095)) * (100 * 256)).hexdigest()
    assert ask("md5", Keys(["large"]), Object).md5 == expected


def test_a_program_that_lives_on() -> None:
    def starts() -> None:
        write = "import time; f = open('/bucket/left', 'wb', 0); f.write(b'by a program'); print(flush=True); time.sleep(1000)"
        program = subprocess.Popen([sys.executable, "-c", write], stdout=subprocess.PIPE, start_new_session=True)
        assert program.stdout is not None
        program.stdout.read(1)

    cloud.result(cloud.call(starts), timeout=60)
    assert stored("left") == b"by a program"


def test_a_job_whose_files_cannot_be_stored_has_failed() -> None:
    put(plan=b"first")

    def edits() -> str:
        file = open("/bucket/plan", "r+")  # noqa: SIM115 - left open
        kept(file)
        file.write("later")
        file.flush()
        print("open", flush=True)
        while not os.path.exists("/bucket/go"):
            os.sched_yield()
        return "all is well"

    jid = cloud.call(edits)
    until(lambda: "open" in (cloud.info(jid, "stdout")[jid]["stdout"] or ""))
    ask("remove", Keys(["plan"]), dict[str, int])
    put(go=b"")
    with pytest.raises(cloud.CloudException, match=r"What was written to /bucket is not stored: Stale file handle"):
        cloud.result(jid, timeout=60)
    until(lambda: "plan was not stored: Stale file handle" in cloud.info(jid, "pilog")[jid]["pilog"])
    assert shell("echo 1 > /bucket/next; cat /bucket/next") == "1\n"


def test_a_server_that_died_with_open_files(server: Server) -> None:
    def leaves() -> str:
        file = open("/bucket/lost", "w")  # noqa: SIM115 - left open
        kept(file)
        file.write("lost")
        file.flush()
        print("open", flush=True)
        while True:
            try:
                if os.path.exists("/bucket/go"):
                    return "all is well"
            except OSError:
                os.sched_yield()

    jid = cloud.call(leaves)
    until(lambda: "open" in (cloud.info(jid, "stdout")[jid]["stdout"] or ""))
    for pid in process.marked(process.of_home(server.home)):
        if b"picloud.mount" in process.command(pid):
            os.kill(pid, 9)
    put(go=b"")
    with pytest.raises(cloud.CloudException, match=r"What was written to /bucket is lost where it was not closed"):
        cloud.result(jid, timeout=60)
    assert stored("lost") is None
    assert shell("cat /bucket/go; echo 1 > /bucket/next; cat /bucket/next") == "1\n"
