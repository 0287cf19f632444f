"""More programs in a mount: disk exercisers, compilers, editors, Python's own ways to write files."""

from __future__ import annotations

import dbm
import os
import shelve
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.flow.mounts import Api, Mounted, mounted, run

MIB = 1 << 20
VIM = shutil.which("vim") or "vim.tiny"


@pytest.fixture(scope="module")
def first(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    with mounted(api, tmp_path_factory.mktemp("cache")) as found:
        yield found


@pytest.fixture(scope="module")
def second(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """The same bucket, with nothing in its cache that the other one wrote."""
    with mounted(api, tmp_path_factory.mktemp("other cache")) as found:
        yield found


@pytest.fixture
def place(first: Mounted, request: pytest.FixtureRequest) -> Path:
    """A folder in the bucket for one test."""
    found = first.folder / request.node.name.replace("[", "-").rstrip("]")
    found.mkdir()
    return found


@pytest.mark.parametrize(
    "engine", ["psync", "mmap", *(pytest.param(name, marks=pytest.mark.full) for name in ("sync", "libaio"))]
)
def test_fio_verifies_random_writes(place: Path, second: Mounted, tmp_path: Path, engine: str) -> None:
    """Three writers at once, by blocks that lie across those of the mount and of the kernel; then from the server's bytes."""
    words = [f"--ioengine={engine}", "--iodepth=4", "--size=9m", "--rw=randwrite", "--fsync=128"]
    words += ["--verify=crc32c", "--verify_fatal=1", f"--aux-path={tmp_path}", "--name=small", "--bs=4k"]
    words += ["--name=odd", f"--bs={'36k' if engine == 'mmap' else '37k'}", "--name=large", "--bs=1m"]
    run("fio", f"--directory={place}", "--do_verify=1", *words, at=tmp_path)
    run("fio", f"--directory={second.folder / place.name}", "--verify_only=1", *words, at=tmp_path)
    with open(next(place.glob("odd.*")), "r+b") as file:
        file.seek(5 * MIB)
        file.write(b"?")
    with pytest.raises(AssertionError, match="verify"):
        run("fio", f"--directory={second.folder / place.name}", "--verify_only=1", *words, at=tmp_path)


def test_sqlite_in_wal_mode_with_readers_and_writers(place: Path) -> None:
    path = place / "numbers.db"
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA journal_mode=wal").fetchone() == ("wal",)
        db.execute("CREATE TABLE number (n INTEGER)")
    db.close()
    connect = f"import sqlite3; db = sqlite3.connect({str(path)!r}, timeout=30, isolation_level=None)\n"
    write = connect + (
        "for _ in range(50):\n"
        " db.execute('BEGIN IMMEDIATE')\n"
        " db.execute('INSERT INTO number SELECT count(*) FROM number')\n"
        " db.execute('COMMIT')\n"
    )
    read = connect + (
        "seen = 0\n"
        "while seen < 100:\n"
        " count, total = db.execute('SELECT count(*), coalesce(sum(n), 0) FROM number').fetchone()\n"
        " assert total == count * (count - 1) // 2 and count >= seen, (count, total, seen)\n"
        " seen = count\n"
    )
    programs = [subprocess.Popen([sys.executable, "-c", code]) for code in (write, write, read)]
    assert [one.wait(100) for one in programs] == [0, 0, 0]
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("SELECT count(*), max(n) FROM number").fetchone() == (100, 99)
    db.close()
    assert os.listdir(place) == ["numbers.db"]


def test_gcc_and_make(place: Path, second: Mounted) -> None:
    (place / "a.c").write_text("int b(void);\nint main(void) { return b(); }\n")
    (place / "b.c").write_text("int b(void) { return 7; }\n")
    rules = "p: a.o lib.a\n\tgcc -o p a.o lib.a\nlib.a: b.o\n\tar rcs lib.a b.o\n%.o: %.c\n\tgcc -c $<\n"
    (place / "Makefile").write_text(rules)
    run("make", "-sj2", at=place)
    assert subprocess.run([place / "p"], check=False).returncode == 7
    assert subprocess.run([second.folder / place.name / "p"], check=False).returncode == 7
    run("make", "-q", at=place)
    (place / "b.c").write_text("int b(void) { return 8; }\n")
    run("make", "-s", at=place)
    assert subprocess.run([place / "p"], check=False).returncode == 8


@pytest.mark.parametrize("how", ["yes", "no", "auto"])
def test_vim_saves(place: Path, api: Api, how: str) -> None:
    """``backupcopy``: it copies the old file and writes into it, or renames it and writes a new one."""
    (place / "a").write_text("one\n" * 1000)
    keys = ["set backup writebackup backupskip= swapfile", f"set backupcopy={how}", "%s/one/two/", "write", "%s/two/three/", "wq"]
    run(VIM, "-Nes", "-u", "NONE", *(word for key in keys for word in ("-c", key)), "a", at=place)
    assert api.get(f"{place.name}/a") == b"three\n" * 1000 and api.get(f"{place.name}/a~") == b"two\n" * 1000
    assert sorted(os.listdir(place)) == ["a", "a~"]


def test_how_emacs_and_nano_save(place: Path, api: Api) -> None:
    path = place / "a"
    path.write_text("one")
    with open(place / ".#a", "x") as lock:  # emacs takes a link for it where it can
        lock.write("ann@here")
    path.rename(place / "a~")
    with open(path, "x") as file:
        file.write("two")
        file.flush()
        os.fsync(file.fileno())
    shutil.copymode(place / "a~", path)
    os.unlink(place / ".#a")
    assert api.get(f"{place.name}/a") == b"two" and api.get(f"{place.name}/a~") == b"one"
    shutil.copy2(path, place / "a.save")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), "w") as file:  # nano
        file.write("three")
    assert api.get(f"{place.name}/a") == b"three" and api.get(f"{place.name}/a.save") == b"two"


def test_files_that_python_makes(place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place) as folder:
        with tempfile.NamedTemporaryFile(dir=folder) as named, tempfile.TemporaryFile(dir=folder) as nameless:
            for file in (named, nameless):
                file.write(b"1" * 70_000)
                file.seek(5)
                assert file.read() == b"1" * 69_995 and os.fstat(file.fileno()).st_size == 70_000
        assert os.listdir(folder) == []
    with dbm.open(str(place / "dbm"), "c") as base:
        base.update({str(n): str(n * n) for n in range(100)})
    with dbm.open(str(place / "dbm"), "r") as base:
        assert base["99"] == b"9801" and len(base.keys()) == 100
    with shelve.open(str(place / "shelf"), writeback=True) as shelf:
        shelf["a"] = [1]
        shelf["a"].append(2)
    with shelve.open(str(place / "shelf")) as shelf:
        assert shelf["a"] == [1, 2]
    for mode in "wa":
        with zipfile.ZipFile(place / "z.zip", mode, zipfile.ZIP_DEFLATED) as archive:
            for n in range(20):
                archive.writestr(f"{mode}{n}", bytes(10_000))
    with zipfile.ZipFile(place / "z.zip") as archive:
        assert archive.testzip() is None and len(archive.namelist()) == 40


def test_arrays(place: Path, second: Mounted) -> None:
    other, numbers = second.folder / place.name, np.arange(1_300_000, dtype="f8")
    np.save(place / "a.npy", numbers)
    assert np.array_equal(np.load(other / "a.npy", mmap_mode="r"), numbers)
    table = np.memmap(place / "table", dtype="f8", mode="w+", shape=(1000, 1300))
    table[:] = numbers.reshape(1000, 1300)
    table.flush()
    table[5, 5] = -1
    table.flush()
    numbers[5 * 1300 + 5] = -1
    assert np.array_equal(np.memmap(other / "table", dtype="f8", mode="r"), numbers)
    np.savez_compressed(place / "b.npz", numbers=numbers)
    assert np.array_equal(np.load(other / "b.npz")["numbers"], numbers)


def test_many_cats_append(place: Path, second: Mounted, tmp_path: Path) -> None:
    lines = "".join(f"line {n}\n" for n in range(200))
    (tmp_path / "lines").write_text(lines)
    folders = [place, second.folder / place.name]
    loop = 'for i in 1 2 3 4 5; do cat lines >> "$1/log"; done'
    programs = [subprocess.Popen(["sh", "-ec", loop, "sh", folders[n % 2]], cwd=tmp_path) for n in range(8)]
    assert [one.wait(60) for one in programs] == [0] * 8
    assert (place / "log").read_text() == lines * 40
    assert os.listdir(place) == ["log"]


@pytest.mark.full
def test_the_whole_standard_library_there_and_back(place: Path, tmp_path: Path) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    less = ["--exclude=site-packages", "--exclude=__pycache__"]
    run("rsync", "-rt", "--checksum", "--no-links", *less, f"{library}/", f"{place}/there/", at=tmp_path)
    run("rsync", "-rt", "--checksum", f"{place}/there/", f"{tmp_path}/back/", at=tmp_path)
    assert run("rsync", "-rcni", "--no-links", "--delete", *less, f"{library}/", f"{tmp_path}/back/", at=tmp_path) == ""
    digests = "find . -type f -print0 | sort -z | xargs -0 sha256sum"
    assert run("sh", "-c", digests, at=place / "there") == run("sh", "-c", digests, at=tmp_path / "back")
