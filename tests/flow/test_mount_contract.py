"""What a mount promises: who sees what when, what is refused, and what becomes of writers that meet."""

from __future__ import annotations

import errno
import os
import re
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import server_home, start_server, stop_server
from tests.flow.mounts import Api, Counter, Mounted, mounted

MIB = 1 << 20


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(api: Api, cache: Path) -> Iterator[Mounted]:
    with mounted(api, cache) as found:
        yield found


@pytest.fixture(scope="module")
def second(api: Api, cache: Path) -> Iterator[Mounted]:
    """The same bucket, mounted once more on this host."""
    with mounted(api, cache) as found:
        yield found


@pytest.fixture
def place(first: Mounted, request: pytest.FixtureRequest) -> Path:
    """A folder in the bucket for one test."""
    name = re.sub(r"\W+", "_", request.node.name)
    (first.folder / name).mkdir()
    return first.folder / name


def fails(number: int, act: Callable[[], Any]) -> None:
    with pytest.raises(OSError) as failed:
        act()
    assert errno.errorcode[failed.value.errno or 0] == errno.errorcode[number]


def held(path: Path, mode: str) -> IO[Any]:
    """An open file, which the test closes when its time has come."""
    return open(path, mode)


def eventually(ask: Callable[[], str]) -> str:
    """What is answered as soon as there is an answer."""
    ends, pause = time.monotonic() + 20, threading.Event()
    while True:
        try:
            return ask()
        except OSError:
            assert time.monotonic() < ends
            pause.wait(0.05)


def test_what_the_api_puts_is_there_at_once_and_the_other_way_round(place: Path, api: Api) -> None:
    assert os.listdir(place) == []
    for n in range(30):
        api.put(f"{place.name}/{n}", b"api")
        assert sorted(os.listdir(place), key=int) == [str(i) for i in range(n + 1)]
        assert (place / str(n)).read_bytes() == b"api"
        api.put(f"{place.name}/{n}", b"again")
        assert (place / str(n)).stat().st_size == 5 and (place / str(n)).read_bytes() == b"again"
        (place / str(n)).write_bytes(b"mount")
        assert api.get(f"{place.name}/{n}") == b"mount"
    api.put(f"{place.name}/deep/er/x", b"1")
    assert (place / "deep/er/x").read_bytes() == b"1"
    api.remove_below(f"{place.name}/deep")
    assert not (place / "deep").exists()
    api.remote.rename(f"{place.name}/7", f"{place.name}/seven", True)
    assert (place / "seven").read_bytes() == b"mount" and not (place / "7").exists()


def test_two_mounts_are_close_to_open(place: Path, first: Mounted, second: Mounted) -> None:
    other = second.folder / place.name
    for n in range(20):
        (place / "a").write_text(f"one {n}")
        assert (other / "a").read_text() == f"one {n}"
        (other / "a").write_text(f"the other {n}")
        assert (place / "a").read_text() == f"the other {n}"
    (other / "d").mkdir()
    assert os.listdir(place / "d") == []
    (place / "d").rmdir()
    assert not (other / "d").exists()


def test_attributes_and_what_is_refused(place: Path) -> None:
    path = place / "a"
    path.write_text("x")
    os.chmod(path, 0o600)
    os.chown(path, 1234, 1234)
    os.utime(path, (1, 1))
    said = path.stat()
    assert (oct(said.st_mode), said.st_uid, said.st_nlink) == ("0o100664", 0, 1) and said.st_mtime == 1
    assert oct(place.stat().st_mode) == "0o40775"
    fails(errno.EPERM, lambda: os.symlink("a", place / "link"))
    fails(errno.EPERM, lambda: os.link(path, place / "link"))
    fails(errno.EPERM, lambda: os.mkfifo(place / "pipe"))
    fails(errno.EPERM, lambda: os.mknod(place / "device", 0o020600, os.makedev(1, 3)))
    fails(errno.ENOTSUP, lambda: os.setxattr(path, "user.a", b"1"))
    fails(errno.ENOTSUP, lambda: os.getxattr(path, "user.a"))
    fails(errno.ENAMETOOLONG, lambda: (place / ("n" * 256)).write_text(""))
    fails(errno.EINVAL, lambda: (place / "bell\a").write_text(""))
    fails(errno.ENOTDIR, lambda: (path / "below").write_text(""))
    fails(errno.EISDIR, lambda: place.write_text(""))
    fails(errno.EEXIST, lambda: held(path, "x"))
    fails(errno.EEXIST, place.mkdir)
    fails(errno.ENOENT, lambda: os.unlink(place / "none"))
    assert os.statvfs(place).f_bfree > 0
    assert sorted(os.listdir(place)) == ["a"]


def test_folders_stay_and_renames_keep_to_posix(place: Path, api: Api) -> None:
    (place / "d").mkdir()
    (place / "d/f").write_text("1")
    (place / "e").mkdir()
    fails(errno.ENOTEMPTY, (place / "d").rmdir)
    (place / "d/f").rename(place / "f")
    assert os.listdir(place / "d") == []
    (place / "d").rename(place / "e")  # over an empty one
    (place / "d").mkdir()
    (place / "d/g").write_text("2")
    fails(errno.ENOTEMPTY, lambda: (place / "e").rename(place / "d"))
    fails(errno.EISDIR, lambda: (place / "f").rename(place / "e"))
    fails(errno.ENOTDIR, lambda: (place / "e").rename(place / "f"))
    api.put(f"{place.name}/made/by/api", b"1")
    os.unlink(place / "made/by/api")
    assert os.listdir(place / "made/by") == []


def test_a_removed_file_is_read_on(place: Path, api: Api) -> None:
    path = place / "a"
    path.write_bytes(b"0123456789" * MIB)
    with open(path, "r+b") as file:
        os.unlink(path)
        assert os.fstat(file.fileno()).st_size == 10 * MIB
        file.seek(5 * MIB)
        assert file.read(10) == b"0123456789"
        file.write(b"lost with the name")
    assert os.listdir(place) == [] and api.names(place.name) == []


def test_a_file_removed_elsewhere_is_stale_at_close(place: Path, second: Mounted) -> None:
    path = place / "a"
    path.write_text("one")
    file = os.open(path, os.O_RDWR)
    os.pwrite(file, b"two", 0)
    os.unlink(second.folder / place.name / "a")
    fails(errno.ESTALE, lambda: os.close(file))
    assert os.listdir(place) == []


def test_what_was_listed_a_moment_ago_is_not_taken_for_true(place: Path, api: Api) -> None:
    """The kernel may keep what a listing brought along, and folders, if it asks them whether they are still there."""
    folder, key = place / "d", f"{place.name}/d"
    for n in range(20):
        api.put(f"{key}/f", b"one")
        assert [one.stat().st_size for one in os.scandir(folder)] == [3]
        if n % 4 == 0:
            api.remote.remove(f"{key}/f")
            assert not (folder / "f").exists() and not os.access(folder / "f", os.F_OK)
        elif n % 4 == 1:
            api.remote.remove(f"{key}/f")
            api.put(f"{key}/f", b"another object")
            assert (folder / "f").read_bytes() == b"another object"
        elif n % 4 == 2:
            api.remote.rename(f"{key}/f", f"{key}/g", True)
            (folder / "f").write_bytes(b"new")
            assert api.get(f"{key}/g") == b"one" == (folder / "g").read_bytes() and api.get(f"{key}/f") == b"new"
        else:
            api.remote.rename(key, f"{place.name}/e", True)
            assert not folder.exists() and not (folder / "f").exists() and os.listdir(place) == ["e"]
            fails(errno.ENOENT, lambda: (folder / "x").write_bytes(b""))
            assert (place / "e/f").read_bytes() == b"one" and api.names(place.name) == [f"{place.name}/e/"]
        api.remove_below(key)
        api.remove_below(f"{place.name}/e")


def test_a_folder_can_be_synced(place: Path) -> None:
    (place / "f").write_bytes(b"1")
    os.unlink(place / "f")
    folder = os.open(place, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def test_a_folder_is_renamed_while_a_file_in_it_is_open(place: Path, api: Api, second: Mounted) -> None:
    (place / "d").mkdir()
    file, fresh = held(place / "d/a", "w"), held(place / "d/b", "w")
    file.write("before ")
    file.flush()
    os.fsync(file.fileno())
    (place / "d").rename(place / "e")
    file.write("after")
    fresh.write("new")
    file.close()
    fresh.close()
    assert api.get(f"{place.name}/e/a") == b"before after" and api.get(f"{place.name}/e/b") == b"new"
    with open(place / "e/a", "a") as file:
        os.rename(second.folder / place.name / "e", second.folder / place.name / "f")
        file.write(" moved")
    assert (place / "f/a").read_text() == "before after moved"
    assert sorted(os.listdir(place)) == ["f"]


def test_a_reader_that_leaves_publishes_nothing(place: Path, api: Api) -> None:
    writer = held(place / "a", "wb")
    writer.write(bytes(MIB))
    writer.flush()
    assert (place / "a").stat().st_size == MIB and len((place / "a").read_bytes()) == MIB
    assert api.names(place.name) == []
    writer.close()
    assert api.get(f"{place.name}/a") == bytes(MIB)


def test_the_later_of_two_writers_wins_and_nothing_is_lost(place: Path, first: Mounted, second: Mounted) -> None:
    (place / "a.txt").write_text("old")
    one, other = held(place / "a.txt", "r+"), held(second.folder / place.name / "a.txt", "r+")
    one.write("one")
    other.write("other")
    one.close()
    other.close()
    assert (place / "a.txt").read_text() == "other"
    (kept,) = [name for name in os.listdir(place) if name != "a.txt"]
    assert re.fullmatch(r"a\.conflict-\d+-\d+\.txt", kept) and (place / kept).read_text() == "one"
    assert kept in second.log and kept not in first.log


def test_who_makes_a_file_first(place: Path, second: Mounted) -> None:
    made = os.open(place / "lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    fails(errno.EEXIST, lambda: os.open(second.folder / place.name / "lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.close(made)
    assert (second.folder / place.name / "lock").read_bytes() == b""


def test_fifty_appenders(place: Path, second: Mounted) -> None:
    folders, failed = [place, second.folder / place.name], []
    begin = threading.Barrier(50)

    def append(n: int) -> None:
        try:
            with open(folders[n % 2] / "log", "a") as file:
                begin.wait(30)
                file.write(f"line {n:02}\n")
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=append, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert sorted((place / "log").read_text().splitlines()) == [f"line {n:02}" for n in range(50)]
    assert os.listdir(place) == ["log"]


def test_appending_moves_little(place: Path, api: Api) -> None:
    size = 9 * MIB
    (place / "log").write_bytes(bytes(size))
    for n in range(20):
        with open(place / "log", "ab") as file:
            file.write(b"%04d" % n)
    expected = bytes(size) + b"".join(b"%04d" % n for n in range(20))
    assert (place / "log").read_bytes() == expected == api.get(f"{place.name}/log")


def test_a_small_file_costs_one_request(api: Api, cache: Path) -> None:
    """Of several: news of the folder itself may come in between, which makes the mount look once more."""
    with closing(Counter(urlsplit(api.url).port or 0)) as counter, mounted(api, cache, counter.url) as found:
        (found.folder / "cheap").mkdir()
        os.listdir(found.folder / "cheap")
        costs = []
        for number in range(20):
            before = len(counter.requests)
            (found.folder / f"cheap/{number}").write_bytes(bytes(4096))
            costs.append(counter.requests[before:])
        assert sorted(costs, key=len)[len(costs) // 2] == ["/v1/object/put"]


def test_a_dead_daemon_is_an_error_and_leaves_nothing_half_written(api: Api, cache: Path) -> None:
    with mounted(api, cache) as found:
        (found.folder / "dies").mkdir()
        (found.folder / "dies/old").write_text("old")
        one, other = held(found.folder / "dies/old", "r+b"), held(found.folder / "dies/new", "wb")
        one.write(bytes(9 * MIB))
        other.write(bytes(9 * MIB))
        found.kill()
        for file in (one, other):
            with pytest.raises(OSError):
                file.close()
    assert api.get("dies/old") == b"old" and api.names("dies") == ["dies/old"]


def test_a_read_only_mount(api: Api, cache: Path) -> None:
    api.put("seen/a", b"1")
    with mounted(api, cache, read_only=True) as found:
        assert (found.folder / "seen/a").read_bytes() == b"1"
        fails(errno.EROFS, lambda: (found.folder / "seen/a").write_text(""))
        fails(errno.EROFS, lambda: os.mkdir(found.folder / "seen/b"))


def test_a_full_account(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICLOUD_STORAGE_QUOTA", str(MIB))
    small = start_server(server_home())
    api = Api(small.url, small.key, small.secret)
    try:
        with mounted(api, cache) as found:
            (found.folder / "half").write_bytes(bytes(MIB // 2))
            file = os.open(found.folder / "too much", os.O_CREAT | os.O_WRONLY)
            os.write(file, bytes(MIB))
            fails(errno.ENOSPC, lambda: os.close(file))
            assert os.listdir(found.folder) == ["half"]
            said = os.statvfs(found.folder)
            assert (said.f_blocks * said.f_bsize, said.f_bavail * said.f_bsize) == (MIB, MIB // 2)
    finally:
        api.close()
        stop_server(small)


def test_mounting_by_command(server: Any, api: Api, tmp_path: Path) -> None:
    folder = tmp_path / "bucket"
    told = server.picloud("bucket", "mount", str(folder))
    (folder / "by command").write_text("1")
    daemon = subprocess.run(["pgrep", "-P", str(told["pid"])], capture_output=True, text=True, check=True).stdout.strip()
    handle = os.pidfd_open(int(daemon))
    os.kill(int(daemon), 9)
    assert select.select([handle], [], [], 10)[0]
    os.close(handle)
    assert eventually(lambda: (folder / "by command").read_text()) == "1"
    (folder / "by command").write_text("2")
    elsewhere = subprocess.Popen(["unshare", "--mount", "--map-root-user", "sh", "-c", "echo; read end"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)  # fmt: skip
    assert elsewhere.stdout is not None and elsewhere.stdout.readline() == b"\n"  # a mount namespace that keeps the mount
    server.picloud("bucket", "unmount", str(folder))
    assert api.get("by command") == b"2" and os.listdir(folder) == []
    elsewhere.communicate(b"\n", 10)
