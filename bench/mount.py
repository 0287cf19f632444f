"""How fast is a mount beside a bare FUSE passthrough in Python? ``python -m bench.mount``

Both lie on the same disk and take turns. The passthrough keeps no promise: a file that was closed may be gone after a power cut,
so its writes get the fsync and the md5 that a mount's include or replace.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.rival import PACKAGES, interpreter, version
from bench.row import Row, show
from bench.server import Server
from bench.statistic import median, span

MIB = 1 << 20
LARGE, SMALL, COUNT, NAMES, HUGE = 256, 4096, 1000, 10_000, 1 << 30
PACKAGES.setdefault("passthrough", ["mfusepy"])
Times = dict[str, list[float]]


def measure(rounds: int = 3) -> list[Row]:
    """Each in turn, ``rounds`` times."""
    ours: Times = {}
    bare: Times = {}
    with Server() as server, _passthrough(server.home) as other, _mounted(server) as mount:
        for _ in range(rounds):
            _run(other, bare, durable=False)
            _run(mount, ours, durable=True)
        _list(other, bare, rounds)
        _list(mount, ours, rounds)
        moved = [_appended(server, mount), _read_by_jobs(server)]
    return [*_rows(ours, bare), _listing(ours, bare), *moved]


@contextmanager
def _mounted(server: Server) -> Iterator[Path]:
    folder = server.home / "mounted"
    server.picloud("bucket", "mount", str(folder))
    try:
        yield folder
    finally:
        server.picloud("bucket", "unmount", str(folder))


@contextmanager
def _passthrough(home: Path) -> Iterator[Path]:
    folder, under = home / "passthrough", home / "under"
    folder.mkdir()
    under.mkdir()
    script = Path(__file__).parent / "peer" / "run_passthrough.py"
    words = [str(interpreter("passthrough")), str(script), str(under), str(folder)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        ends = time.monotonic() + 30
        while not os.path.ismount(folder):
            if daemon.poll() is not None or time.monotonic() > ends:
                raise RuntimeError("the passthrough did not start")
            time.sleep(0.01)
        try:
            yield folder
        finally:
            subprocess.run(["fusermount3", "-u", str(folder)], check=True)
            daemon.kill()  # the sandboxes of jobs that ran meanwhile may know its mount still


def _timed(found: Times, name: str, act: Callable[[], object]) -> None:
    began = time.perf_counter()
    act()
    found.setdefault(name, []).append(time.perf_counter() - began)


def _run(folder: Path, found: Times, durable: bool) -> None:
    """Every question once. ``durable``: a close already stands for the fsync and the digest."""
    data, path = os.urandom(MIB), folder / "large"
    _timed(found, "write", lambda: _write(path, data, durable))
    _timed(found, "read", lambda: _read(path))
    small = [folder / f"small{n}" for n in range(COUNT)]
    _timed(found, "create", lambda: [one.write_bytes(data[:SMALL]) for one in small])
    _timed(found, "small read", lambda: [one.read_bytes() for one in small])
    _timed(found, "delete", lambda: list(map(os.unlink, small)))
    path.unlink()


def _write(path: Path, data: bytes, durable: bool) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "wb", buffering=0) as file:
        for _ in range(LARGE):
            file.write(data)
            if not durable:
                digest.update(data)
        if not durable:
            os.fsync(file.fileno())


def _read(path: Path) -> None:
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(MIB):
            pass


def _list(mount: Path, found: Times, rounds: int) -> None:
    folder = mount / "many"
    folder.mkdir()
    words = f"cd {folder} && seq {NAMES} | xargs -n 500 -P 8 touch"
    subprocess.run(["sh", "-c", words], check=True)
    for _ in range(rounds):
        _timed(found, "list", lambda: subprocess.run(["ls", "-l", str(folder)], stdout=subprocess.DEVNULL, check=True))


def _traffic(server: Server) -> int:
    """All bytes that control and edge have read and written so far, be it from sockets or files."""
    found = server.processes()
    texts = [Path(f"/proc/{one.pid}/io").read_text() for one in found.control + found.edge]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line[:5] in ("rchar", "wchar"))


def _put(server: Server, key: str, size: int) -> None:
    source = server.home / "source"
    with source.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    server.picloud("bucket", "put", str(source), key)
    source.unlink()


def _appended(server: Server, mount: Path) -> Row:
    _put(server, "giga", HUGE)
    before = _traffic(server)
    with open(mount / "giga", "ab") as file:
        file.write(bytes(1024))
    moved = _traffic(server) - before
    assert (mount / "giga").stat().st_size == HUGE + 1024
    return Row(
        "mount: 1 KB appended to 1 GiB", f"{moved / 1e6:.2f} MB at the server", "< 5 MB", moved < 5e6, values={"moved": moved}
    )


def _read_by_jobs(server: Server) -> Row:
    """One job reads an object; then two at once, each in a slot of its own, read it again."""
    _put(server, "shared", LARGE * MIB)
    moved = []
    for jobs in (1, 2):
        before = _traffic(server)
        with server.python("-m", "bench.mount_jobs", "shared", str(jobs)) as process:
            told, _ = process.communicate(timeout=120)
        assert told.split() == [str(LARGE * MIB)] * jobs, told
        moved.append(_traffic(server) - before)
    text = f"{moved[1] / 1e6:.2f} MB at the server (the first one: {moved[0] / 1e6:.0f} MB)"
    return Row(f"mount: {LARGE} MiB read again by two more jobs", text, "no bytes", moved[1] < MIB, values={"moved": moved})


QUESTIONS = {
    "write": (f"mount: {LARGE} MiB written and closed (passthrough: with fsync and md5)", 0.8),
    "read": (f"mount: {LARGE} MiB read", 0.8),
    "create": (f"mount: {COUNT} files of 4 KB created, each on the server's disk (passthrough: on nobody's)", 0.5),
    "small read": (f"mount: {COUNT} files of 4 KB read", 0.5),
    "delete": (f"mount: {COUNT} files of 4 KB removed", 0.5),
}
"""Name -> what is asked, and the share of the passthrough's speed that is wanted."""


def _rows(ours: Times, bare: Times) -> list[Row]:
    rows = []
    for name, (question, share) in QUESTIONS.items():
        ratio = median(bare[name]) / median(ours[name])
        rows.append(
            Row(
                question,
                f"{span(ours[name], 2)} s, {ratio:.2f}x the passthrough's speed",
                f">= {share}x",
                ratio >= share,
                {f"mfusepy {version('passthrough')}": f"{span(bare[name], 2)} s"},
                {"ours_s": ours[name], "bare_s": bare[name]},
            )
        )
    return rows


def _listing(ours: Times, bare: Times) -> Row:
    found = ours["list"]
    return Row(
        f"mount: ls -l of {NAMES:,} files",
        f"{span(found, 2)} s",
        "< 1 s",
        median(found) < 1,
        {f"mfusepy {version('passthrough')}": f"{span(bare['list'], 2)} s"},
        {"ours_s": found, "bare_s": bare["list"]},
    )


if __name__ == "__main__":
    show(measure())
