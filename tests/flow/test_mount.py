"""Programs that know nothing of PiCloud, at work in a mount."""

from __future__ import annotations

import filecmp
import hashlib
import mmap
import os
import random
import shutil
import sqlite3
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.mounts import Api, mounted, run

LIBRARY = Path(sysconfig.get_path("stdlib")) / "email"
MIB = 1 << 20


@pytest.fixture(scope="module")
def mount(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bucket as a folder."""
    with mounted(api, tmp_path_factory.mktemp("cache")) as found:
        yield found.folder


@pytest.fixture
def place(mount: Path, request: pytest.FixtureRequest) -> Path:
    """A folder in the bucket for one test."""
    found = mount / request.node.name
    found.mkdir()
    return found


def git(*words: str, at: Path) -> str:
    return run("git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *words, at=at)


def repository(at: Path) -> Path:
    """A new one of 200 files, with a branch and 30 commits."""
    at.mkdir()
    git("init", "-q", at=at)
    (at / "run").write_text("#!/bin/sh\n")
    (at / "run").chmod(0o755)
    for version in range(30):
        for number in range(200 if version == 0 else 9):
            path = at / (f"file{number}" if number % 3 else f"folder{number % 7}/deep/{number}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(str(version * line + number) for line in range(200)))
        git("add", "-A", at=at)
        git("commit", "-qm", f"version {version}", at=at)
        if version == 20:
            git("branch", "other", at=at)
    return at


def test_git_clones_checks_and_commits(place: Path, tmp_path: Path) -> None:
    origin = repository(tmp_path / "origin")
    git("clone", "-q", str(origin), "clone", at=place)
    clone = place / "clone"
    git("fsck", "--full", "--strict", at=clone)
    assert git("status", "--porcelain", at=clone) == ""
    assert len(git("log", "--oneline", at=clone).splitlines()) == 30
    assert os.access(clone / "run", os.X_OK)
    git("checkout", "-q", "other", at=clone)
    (clone / "file100").write_text("changed")
    git("commit", "-qam", "here", at=clone)
    git("checkout", "-q", "-", at=clone)
    git("merge", "-q", "-m", "merged", "other", at=clone)
    git("gc", "-q", "--prune=now", at=clone)
    git("fsck", "--full", "--strict", at=clone)
    assert git("status", "--porcelain", at=clone) == "" and git("show", "HEAD:file100", at=clone) == "changed"
    git("push", "-q", "origin", "HEAD:refs/heads/pushed", at=clone)
    assert git("rev-parse", "pushed", at=origin) == git("rev-parse", "HEAD", at=clone)


@pytest.mark.parametrize("journal", ["delete", "truncate"])
def test_sqlite_commits_and_is_whole(place: Path, journal: str) -> None:
    with sqlite3.connect(place / "numbers.db") as db:
        db.execute(f"PRAGMA journal_mode={journal}")
        db.execute("CREATE TABLE number (n INTEGER PRIMARY KEY, square INTEGER)")
        for n in range(100 if journal == "truncate" else 20):
            db.execute("INSERT INTO number VALUES (?, ?)", (n, n * n))
            db.commit()
    db.close()
    again = sqlite3.connect(place / "numbers.db")
    assert again.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    expected = 100 if journal == "truncate" else 20
    assert again.execute("SELECT count(*), max(square) FROM number").fetchone() == (expected, (expected - 1) ** 2)
    again.close()


def test_random_writes_are_all_there(place: Path, api: Api) -> None:
    dice, size = random.Random(7), 14 * MIB + 12345
    expected = bytearray(size)
    file = os.open(place / "random", os.O_RDWR | os.O_CREAT)
    os.ftruncate(file, size)
    for step in range(200):
        at, data = dice.randrange(size - 70_000), dice.randbytes(dice.randrange(1, 70_000))
        assert os.pwrite(file, data, at) == len(data)
        expected[at : at + len(data)] = data
        if step % 50 == 17:
            os.fsync(file)
        if step % 20 == 3:
            look = dice.randrange(size - 5000)
            assert os.pread(file, 5000, look) == expected[look : look + 5000]
    os.close(file)
    assert (place / "random").read_bytes() == expected
    assert api.get(f"{place.name}/random") == expected


def test_holes_truncation_and_seeking(place: Path, api: Api) -> None:
    path = place / "holes"
    with open(path, "wb") as file:
        file.seek(9 * MIB)
        file.write(b"end")
    assert path.stat().st_size == 9 * MIB + 3
    os.truncate(path, 9 * MIB + 1)
    os.truncate(path, 9 * MIB + 3)
    with open(path, "r+b") as file:
        file.seek(5 * MIB - 2)
        file.write(b"middle")
    expected = bytes(5 * MIB - 2) + b"middle" + bytes(4 * MIB - 4) + b"e\0\0"
    assert path.read_bytes() == expected
    assert api.get(f"{place.name}/holes") == expected
    os.truncate(path, 0)
    assert path.read_bytes() == b"" and api.get(f"{place.name}/holes") == b""


def test_shared_memory(place: Path, api: Api) -> None:
    path = place / "shared"
    path.write_bytes(bytes(5 * MIB))
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[4 * MIB : 4 * MIB + 5] = b"hello"
        memory.flush()
    data = path.read_bytes()
    assert data[4 * MIB : 4 * MIB + 5] == b"hello" and len(data) == 5 * MIB
    assert api.get(f"{place.name}/shared") == data


def same(one: Path, other: Path) -> bool:
    found = filecmp.dircmp(one, other)
    _, wrong, strange = filecmp.cmpfiles(one, other, found.common_files, shallow=False)
    alone = found.left_only + found.right_only
    return not (wrong or strange or alone) and all(same(one / name, other / name) for name in found.common_dirs)


def test_rsync_there_and_back(place: Path, tmp_path: Path) -> None:
    run("rsync", "-a", "--checksum", f"{LIBRARY}/", f"{place}/there/", at=tmp_path)
    run("rsync", "-a", "--checksum", f"{place}/there/", f"{tmp_path}/back/", at=tmp_path)
    assert same(LIBRARY, tmp_path / "back")
    assert run("rsync", "-rcni", "--delete", f"{LIBRARY}/", f"{place}/there/", at=tmp_path) == ""


def test_tar_out_and_in(place: Path) -> None:
    shutil.copytree(LIBRARY / "mime", place / "tree")
    run("tar", "cf", "tree.tar", "tree", at=place)
    (place / "other").mkdir()
    run("tar", "xf", "../tree.tar", at=place / "other")
    assert same(place / "tree", place / "other" / "tree")


def test_sed_in_place_mv_over_and_an_editors_way_to_save(place: Path, api: Api) -> None:
    (place / "a").write_text("one two\n")
    run("sed", "-i", "s/two/three/", "a", at=place)
    assert (place / "a").read_text() == "one three\n"
    (place / "b").write_text("new\n")
    held = open(place / "a")  # noqa: SIM115 - read on after it was replaced
    run("mv", "b", "a", at=place)
    assert (place / "a").read_text() == "new\n" and held.read() == "one three\n"
    held.close()
    with open(place / ".a.swp", "w") as passing:  # a new file, fsync, the old one aside, the new one in its place
        passing.write("edited\n")
        passing.flush()
        os.fsync(passing.fileno())
    os.rename(place / "a", place / "a~")
    os.rename(place / ".a.swp", place / "a")
    os.unlink(place / "a~")
    assert sorted(os.listdir(place)) == ["a"]
    assert api.get(f"{place.name}/a") == b"edited\n"


def test_the_shells_words(place: Path, api: Api) -> None:
    run("sh", "-c", "echo hello > f && mkdir -p d/e && mv f d/e/g && cp d/e/g h && cat h >> d/e/g && rm h", at=place)
    assert (place / "d/e/g").read_text() == "hello\nhello\n"
    run("sh", "-c", "mv d files && rm -rf files/e && test -d files && ls files", at=place)
    assert api.names(place.name) == [f"{place.name}/files/"]
    run("rm", "-rf", "files", at=place)
    assert os.listdir(place) == []


def test_equal_digests_of_a_large_file(place: Path, tmp_path: Path) -> None:
    data = random.Random(3).randbytes(23 * MIB)
    (tmp_path / "large").write_bytes(data)
    run("cp", f"{tmp_path}/large", "copy", at=place)
    with open(place / "copy", "rb") as file:
        assert hashlib.file_digest(file, "md5").digest() == hashlib.md5(data).digest()
