"""The systems under test, each driven through bench/peer/loop.py in an interpreter of its own.

Rivals are installed into ``bench/.peers/<name>`` the first time they are asked for; they are never dependencies.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.machine import ROOT
from bench.server import Server

PEERS = ROOT / "bench" / ".peers"
PACKAGES: dict[str, list[str]] = {"ray": ["ray"], "dask": ["distributed"], "pool": [], "files": ["aiohttp"], "huey": ["huey"]}
"""What pip installs for each rival; the pool is in the standard library."""


class System:
    """A running system; ``map`` and ``call`` time it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.start_seconds: float = self._answer()["started"]

    def map(self, count: int) -> float:
        """Seconds that a map of ``count`` no-ops takes, from the first submit to the last result."""
        seconds: float = self._ask(f"map {count}")["seconds"]
        return seconds

    def call(self, count: int) -> list[float]:
        """Milliseconds of each of ``count`` calls in a row, each with its result."""
        times: list[float] = self._ask(f"call {count}")["ms"]
        return times

    def stop(self) -> None:
        """End it; it stops what it started."""
        self._process.communicate("quit\n", timeout=60)

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")


@contextmanager
def running(name: str) -> Iterator[System]:
    """The system called ``name`` (picloud, or a rival of PACKAGES), fresh and warm, until the block ends."""
    if name == "picloud":
        with Server() as server, _driven(server.python(_script(name))) as system:
            yield system
        return
    pipe = subprocess.PIPE
    words = [str(interpreter(name)), _script(name)]
    with _driven(subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)) as system:
        yield system


@contextmanager
def _driven(process: subprocess.Popen[str]) -> Iterator[System]:
    system = System(process)
    try:
        yield system
    finally:
        system.stop()


def _script(name: str) -> str:
    return str(ROOT / "bench" / "peer" / f"run_{name}.py")


def interpreter(name: str) -> Path:
    """The Python that runs the rival; its environment is made first where it is not there."""
    if not PACKAGES[name]:
        return Path(sys.executable)
    python = PEERS / name / "bin" / "python"
    ready = PEERS / name / ".ready"
    if not ready.exists():
        print(f"bench: installing {name} into {python.parent.parent}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True)
        ready.touch()
    return python


def version(name: str) -> str:
    """The installed version of a rival, "" for the standard library."""
    if not PACKAGES[name]:
        return ""
    code = f"import importlib.metadata as m; print(m.version({PACKAGES[name][0]!r}))"
    return subprocess.run([str(interpreter(name)), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
