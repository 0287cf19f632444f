"""Server and edge die while objects move: what was there stays, what is sent arrives whole, a rename is all or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.processes import installation
from tests.conftest import Server, picloud, server_home, start_server, stop_server

SIZE = 96 << 20
DEADLINE = 60.0
MIB = 1 << 20

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture
def mortal() -> Iterator[Server]:
    """A server of this test's own."""
    made = start_server(server_home())
    yield made
    stop_server(made)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(MIB) * (SIZE // MIB))
    return path


def client(server: Server, code: str, *words: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PICLOUD_HOME": str(server.home)}
    line = [sys.executable, "-c", f"import sys; from cloud import bucket\n{code}", *words]
    return subprocess.Popen(line, env=env, stdout=subprocess.PIPE, text=True)


def done(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=2 * DEADLINE)
    assert process.returncode == 0
    return out.strip()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.002)


def grows(folder: Path, pattern: str = "*") -> bool:
    """Whether a file there has bytes, and not all of them."""
    try:
        return any(MIB < path.stat().st_size < SIZE // 2 for path in folder.glob(pattern))
    except FileNotFoundError:
        return False


def kill(processes: list[Any]) -> None:
    assert processes
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)


def test_the_edge_dies_during_a_put_and_a_get(mortal: Server, source: Path, tmp_path: Path) -> None:
    done(client(mortal, "bucket.putf(b'old', 'key')"))
    putting = client(mortal, "bucket.put(sys.argv[1], 'key')", str(source))
    until(lambda: grows(mortal.home / "blob" / "new"))
    kill(installation(mortal.home).edge)
    assert done(client(mortal, "print(bucket.getf('key').read().decode())")) == "old"
    done(putting)
    target = tmp_path / "target" / "file"
    getting = client(mortal, "bucket.get('key', sys.argv[1])", str(target))
    until(lambda: grows(target.parent, ".picloud-*"))
    kill(installation(mortal.home).edge)
    done(getting)
    assert target.read_bytes() == source.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_the_server_dies_during_a_put(mortal: Server, source: Path, tmp_path: Path) -> None:
    putting = client(mortal, "bucket.put(sys.argv[1], 'key')", str(source))
    until(lambda: grows(mortal.home / "blob" / "new"))
    kill(installation(mortal.home).control)
    picloud(mortal.home, "up")
    done(putting)
    target = tmp_path / "target"
    done(client(mortal, "bucket.get('key', sys.argv[1])", str(target)))
    assert target.read_bytes() == source.read_bytes()


def test_the_server_dies_during_a_rename(mortal: Server) -> None:
    done(client(mortal, "bucket.put_many({f'a/{n}': b'' for n in range(10_000)})"))
    code = (
        "import itertools\nprint('begins', flush=True)\n"
        "for one, other in itertools.cycle((sys.argv[1], sys.argv[1][::-1])): bucket.rename(one, other); print(one, flush=True)"
    )
    at = "a"
    for finished in (0, 1, 2):
        renaming = client(mortal, code, at + "ab".replace(at, ""))
        assert renaming.stdout is not None
        for _ in range(finished + 1):
            renaming.stdout.readline()
        kill(installation(mortal.home).control)
        renaming.kill()
        renaming.communicate()
        picloud(mortal.home, "up")
        count = done(client(mortal, "print(*(sum(1 for _ in bucket.iterlist(name)) for name in 'ab'))"))
        assert count in ("10000 0", "0 10000")
        at = "a" if count == "10000 0" else "b"
