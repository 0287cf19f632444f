"""Times and programs: what a mount keeps of them, and that the tools which set them are content."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from picloud.wire.object import MTIME, New
from tests.flow.mounts import Api, Counter, Mounted, mounted

OLD = 981_173_106_123_456_789
"""ns: in February 2001."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(api: Api, cache: Path) -> Iterator[Mounted]:
    with mounted(api, cache) as found:
        yield found


@pytest.fixture(scope="module")
def second(api: Api, cache: Path) -> Iterator[Mounted]:
    with mounted(api, cache) as found:
        yield found


@pytest.fixture
def place(first: Mounted, request: pytest.FixtureRequest) -> Path:
    """A folder in the bucket for one test."""
    found = first.folder / request.node.name
    found.mkdir()
    return found


def run(*words: str | Path, at: Path) -> str:
    done = subprocess.run(words, cwd=at, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def test_a_time_stays_until_somebody_writes(place: Path, second: Mounted, api: Api) -> None:
    path, other = place / "a", second.folder / place.name / "a"
    path.write_text("1")
    os.utime(path, ns=(OLD, OLD))
    assert path.stat().st_mtime_ns == OLD == other.stat().st_mtime_ns
    path.rename(place / "b")
    path, other = place / "b", other.parent / "b"
    assert path.stat().st_mtime_ns == OLD == other.stat().st_mtime_ns
    assert other.read_text() == "1" and other.stat().st_mtime_ns == OLD
    with open(other, "a") as file:
        file.write("2")
    assert path.stat().st_mtime_ns > OLD < other.stat().st_mtime_ns
    os.utime(other, ns=(-OLD, -OLD))
    assert path.stat().st_mtime_ns == -OLD
    path.write_text("3")
    assert other.stat().st_mtime_ns > OLD
    before = other.stat().st_mtime_ns
    run("touch", "b", at=place)
    assert other.stat().st_mtime_ns > before
    api.remote.put(New(f"{place.name}/b", 1, data=b"4", headers={MTIME: "9" * 40}))
    assert path.stat().st_mtime_ns > before  # which is no time


def test_a_time_that_is_set_while_the_file_is_open(place: Path, api: Api) -> None:
    path = place / "a"
    with open(path, "wb") as file:
        file.write(b"1")
        file.flush()
        os.utime(file.fileno(), ns=(OLD, OLD))
        assert os.fstat(file.fileno()).st_mtime_ns == OLD
    assert path.stat().st_mtime_ns == OLD
    with open(path, "ab") as file:
        file.write(b"2")
        file.flush()
        os.utime(file.fileno(), ns=(OLD, OLD))
    assert path.stat().st_mtime_ns == OLD and api.get(f"{place.name}/a") == b"12"
    with open(path, "r+b") as file:
        os.utime(file.fileno(), ns=(OLD, OLD))
        file.write(b"3")
        file.flush()
        assert os.fstat(file.fileno()).st_mtime_ns > OLD
    assert path.stat().st_mtime_ns > OLD


def test_programs(place: Path, second: Mounted) -> None:
    path = place / "hello"
    path.write_text("#!/bin/sh\necho hello $1\n")
    assert not os.stat(path).st_mode & 0o111
    with pytest.raises(PermissionError):
        subprocess.run([path], check=False)
    os.chmod(path, 0o755)
    assert oct(path.stat().st_mode) == "0o100775"
    assert run(second.folder / place.name / "hello", "there", at=place) == "hello there\n"
    with open(path, "a") as file:
        file.write("echo again\n")
    run("sed", "-i", "s/again/bye/", "hello", at=place)
    assert run(path, "there", at=place) == "hello there\nbye\n"
    run("cp", shutil.which("true") or "", "copy", at=place)
    run(place / "copy", at=place)
    run("install", "-m", "755", shutil.which("true") or "", "installed", at=place)
    run(place / "installed", at=place)
    os.chmod(path, 0o644)
    with pytest.raises(PermissionError):
        subprocess.run([path], check=False)


def test_what_is_copied_keeps_its_time(place: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(5):
        (tree / f"d{number}").mkdir(parents=True)
        for name in ("", "empty", "program"):
            (tree / f"d{number}" / (name or "text")).write_text(name and name * 1000 if name != "empty" else "")
            os.utime(tree / f"d{number}" / (name or "text"), ns=(OLD, OLD + number))
        os.chmod(tree / f"d{number}/program", 0o755)

    def same(other: Path) -> None:
        for path in tree.rglob("*"):
            found, said = (other / path.relative_to(tree)).stat(), path.stat()
            assert path.is_dir() or found.st_mtime_ns // 10**9 == said.st_mtime_ns // 10**9
            assert found.st_mode & 0o100 == said.st_mode & 0o100

    run("cp", "-a", tree, "by cp", at=place)
    run("rsync", "-a", f"{tree}/", "by rsync", at=place)
    run("tar", "cf", tmp_path / "t.tar", "-C", tmp_path, "tree", at=tmp_path)
    run("tar", "xf", tmp_path / "t.tar", at=place)
    for name in ("by cp", "by rsync", "tree"):
        same(place / name)
    assert run("rsync", "-ani", "--no-perms", "--omit-dir-times", f"{tree}/", "by rsync", at=place) == ""
    shutil.copytree(tree, tmp_path / "to move")
    run("mv", tmp_path / "to move", "by mv", at=place)
    same(place / "by mv")


def test_make_sees_what_is_new(place: Path) -> None:
    (place / "Makefile").write_text("out: in\n\tcat in > out\n\techo made\n")
    (place / "in").write_text("1")
    os.utime(place / "in", ns=(OLD, OLD))
    assert "made" in run("make", at=place)
    assert "up to date" in run("make", at=place)
    (place / "in").write_text("2")
    os.utime(place / "out", ns=(OLD, OLD))
    assert "made" in run("make", at=place) and (place / "out").read_text() == "2"
    assert "up to date" in run("make", at=place)


def test_what_times_cost(api: Api, cache: Path) -> None:
    """A time that is set before the close travels with it; else it is one request. A mode that says nothing new is none."""
    with closing(Counter(urlsplit(api.url).port or 0)) as counter, mounted(api, cache, counter.url) as found:
        (found.folder / "times").mkdir()
        os.listdir(found.folder / "times")
        together, apart = [], []
        for number in range(9):
            before = len(counter.requests)
            with open(found.folder / f"times/{number}", "wb") as file:
                file.write(bytes(4096))
                os.fchmod(file.fileno(), 0o755)
                file.flush()
                os.utime(file.fileno(), ns=(OLD, OLD))
            together.append(counter.requests[before:])
            before = len(counter.requests)
            os.utime(found.folder / f"times/{number}", ns=(OLD, OLD + 1))
            os.chmod(found.folder / f"times/{number}", 0o700)
            apart.append(counter.requests[before:])
        assert sorted(together, key=len)[4] == ["/v1/object/put"]
        assert sorted(apart, key=len)[4] == ["/v1/object/mark"]
