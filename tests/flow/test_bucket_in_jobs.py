"""/bucket in jobs: what they put there is in the bucket when they are done, and the other way round."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

import cloud
from cloud import _session
from picloud.engine import process
from picloud.wire.object import Content, Contents, Keys, List, Listing, New, Object, Put
from tests.conftest import Server

pytestmark = [pytest.mark.slow, pytest.mark.live]

T = TypeVar("T")


def ask(what: str, question: Any, kind: type[T]) -> T:
    answer = _session.session().link.request("POST", f"/v1/object/{what}", msgspec.msgpack.encode(question))
    return msgspec.msgpack.decode(answer, type=kind)


def put(**objects: bytes) -> None:
    ask("put", Put([New(key.replace("__", "/"), len(data), data=data) for key, data in objects.items()]), list[Object])


def keys() -> list[str]:
    return [one.key for one in ask("list", List(), Listing).objects]


def content(key: str) -> Content | None:
    found = ask("get", Keys([key]), Contents).found
    return found[0] if found else None


def shell(command: str) -> str:
    jid = cloud.shell.execute(command, {})
    return bytes(cloud.result(jid, timeout=60)).decode()


@pytest.fixture(autouse=True)
def _empty(server: Any) -> Iterator[None]:
    yield
    ask("remove", Keys(prefix=""), dict[str, int])


def test_a_folder_of_files_with_their_modes() -> None:
    put(it_works__txt=b"it works\n")
    told = shell("ls -lF /bucket; cat /bucket/it_works/txt")
    assert "drwxrwxr-x" in told and "root picloud" in told and told.endswith("it works\n")
    told = shell("echo 'Hooray for Bucket Mounts!' > /bucket/hooray.txt; ls -l /bucket/hooray.txt")
    assert told.startswith("-rw-rw-r-- 1 root picloud 26 ")
    found = content("hooray.txt")
    assert found is not None and found.data == b"Hooray for Bucket Mounts!\n"


def test_folders_move_and_go() -> None:
    put(folder1__a=b"1", folder1__b__c=b"2", other=b"3")
    shell("mv /bucket/folder1 /bucket/files")
    assert keys() == ["files/a", "files/b/c", "other"]
    shell("rm -rf /bucket/files")
    assert keys() == ["other"]


def test_a_file_is_changed_where_it_is() -> None:
    put(dataset__txt=b"hello world\n" * 1000)

    def edits() -> str:
        with open("/bucket/dataset/txt", "r+") as dataset:
            dataset.seek(6)
            dataset.write("WORLD")
            dataset.seek(0)
            return dataset.readline()

    assert cloud.result(cloud.call(edits), timeout=60) == "hello WORLD\n"
    found = content("dataset/txt")
    assert found is not None and found.data == b"hello WORLD\n" + b"hello world\n" * 999


def test_any_language_reads_and_writes(tmp_path: Path) -> None:
    put(numbers=b"1\n2\n39\n")
    assert shell("awk '{s+=$1} END {print s > \"/bucket/sum\"}' /bucket/numbers; cat /bucket/sum") == "42\n"
    source = '#include <stdio.h>\nint main(){FILE*f=fopen("/bucket/from_c","w");fputs("c was here",f);return fclose(f);}'
    (tmp_path / "a.c").write_text(source)
    subprocess.run(["gcc", "-o", str(tmp_path / "a.out"), str(tmp_path / "a.c")], check=True)
    cloud.result(cloud.shell.execute("{program}", {"program": f"@{tmp_path}/a.out"}), timeout=60)
    found = content("from_c")
    assert found is not None and found.data == b"c was here"


def test_jobs_read_what_others_wrote() -> None:
    def writes(i: int) -> str:
        import hashlib

        data = os.urandom(100_000 + i)
        with open(f"/bucket/many/{i}", "wb") as file:
            file.write(data)
        return hashlib.sha256(data).hexdigest()

    def reads(i: int) -> str:
        import hashlib

        with open(f"/bucket/many/{i}", "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    shell("mkdir /bucket/many")
    wrote = cloud.result(cloud.map(writes, range(50)), timeout=100)
    assert cloud.result(cloud.map(reads, range(50)), timeout=100) == wrote


def test_of_two_writers_both_versions_stay_and_the_pi_log_tells() -> None:
    put(plan=b"first")

    def edits() -> None:
        with open("/bucket/plan", "r+") as file:
            print("open", flush=True)
            while not os.path.exists("/bucket/go"):
                time.sleep(0.02)
            file.write("later")

    jid = cloud.call(edits)
    until(lambda: "open" in (cloud.info(jid, "stdout")[jid]["stdout"] or ""))
    put(plan=b"other")
    put(go=b"")
    cloud.join(jid, timeout=60)
    (beside,) = [key for key in keys() if "conflict" in key]
    mine, theirs = content("plan"), content(beside)
    assert mine is not None and mine.data == b"later"
    assert theirs is not None and theirs.data == b"other"
    until(lambda: beside in cloud.info(jid, "pilog")[jid]["pilog"])


def test_of_a_killed_job_there_is_no_half_object() -> None:
    def writes() -> None:
        with open("/bucket/half", "wb") as file:
            while True:
                file.write(bytes(1 << 20))
                file.flush()
                print("on the way", flush=True)
                time.sleep(0.05)

    jid = cloud.call(writes)
    until(lambda: "on the way" in (cloud.info(jid, "stdout")[jid]["stdout"] or ""))
    cloud.kill(jid)
    assert shell("ls /bucket") == ""
    assert keys() == []


def test_a_server_that_dies_is_replaced(server: Server) -> None:
    assert shell("echo 1 > /bucket/one; cat /bucket/one") == "1\n"

    def breaks() -> str:
        file = os.open("/bucket/two", os.O_CREAT | os.O_WRONLY)
        print("open", flush=True)
        try:
            while True:
                os.write(file, b"x")
                time.sleep(0.01)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.close(file)
            return type(error).__name__

    jid = cloud.call(breaks)
    until(lambda: "open" in (cloud.info(jid, "stdout")[jid]["stdout"] or ""))
    kill_mounts(server)
    assert cloud.result(jid, timeout=60) in ("OSError", "ConnectionAbortedError")
    assert "two" not in keys()
    assert shell("cat /bucket/one") == "1\n"


def test_nothing_goes_below_a_mount_that_dies(server: Server) -> None:
    def writes() -> list[str]:
        kept: list[str] = []
        while not os.path.exists("/bucket/enough"):
            name = f"below-{len(kept)}"
            with contextlib.suppress(OSError):
                with open(f"/bucket/{name}", "w") as file:
                    file.write("x")
                kept.append(name)
        return kept

    def below() -> int:
        return len(list(cloud.bucket.iterlist()))

    assert shell("echo > /bucket/below-first") == ""
    jid = cloud.call(writes)
    for _ in range(3):
        before = below()
        until(lambda before=before: below() > before)
        kill_mounts(server)
    before = below()
    until(lambda: below() > before)
    cloud.bucket.putf("", "enough")
    kept = cloud.result(jid, timeout=60)
    assert len(kept) > 3 and set(kept) <= set(cloud.bucket.iterlist())


def test_a_job_after_a_death_waits_however_late_it_is_seen(server: Server) -> None:
    def looks() -> tuple[bool, bool]:
        """At the moment of the first error: whether the page tells that the mount is away, and whether it is back."""
        pages = []
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/self/fd/{name}").startswith("/memfd:mounts"):
                    pages.append(int(name))
        try:
            while True:
                os.stat("/bucket/one")
        except OSError:
            return os.pread(pages[0], 8, 16) != bytes(8), os.path.exists("/bucket/one")

    cloud.bucket.putf("1", "one")
    assert shell("cat /bucket/one") == "1"
    jid = cloud.call(looks)
    workers = processes(server, b"picloud.worker")
    until(lambda: len(processes(server, b"picloud.mount")) and cloud.status(jid) == "processing")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        kill_mounts(server, gone=False)
        time.sleep(0.3)  # in which the job would meet the error, if it came before the news
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    assert any(cloud.result(jid, timeout=60))


def kill_mounts(server: Server, gone: bool = True) -> None:
    """``gone``: return when the worker has seen it."""
    killed = processes(server, b"picloud.mount")
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    if gone:
        until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in killed))


def processes(server: Server, of: bytes) -> list[int]:
    return [pid for pid in process.marked(process.of_home(server.home)) if of in process.command(pid)]


def until(true: Any) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
