"""How fast is the bucket? ``python -m bench.objects``

256 MB there and back, beside a copy with fsync and md5 of the same bytes; 10 KB objects one by one from 8 threads, beside a bare
aiohttp file server, which syncs nothing, or each file; the same in batches; the rename of a folder.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import rival
from bench.machine import ROOT
from bench.row import Row, show
from bench.server import Server
from bench.statistic import median, span

LARGE, MANY, SMALL, THREADS = 256 << 20, 10_000, 2_000, 8
GROWTH = 64 << 20


def measure(rounds: int = 3) -> list[Row]:
    """Each question ``rounds`` times, in turns."""
    found: dict[str, list[dict[str, float]]] = {"large": [], "small": [], "plain": [], "synced": [], "many": []}
    with Server() as server, _client(server) as ask, _plain(server.home) as port:
        for _ in range(rounds):
            before = _server_memory(server)
            found["large"].append(ask(f"large {LARGE} {server.home}"))
            found["large"][-1]["server"] = _server_memory(server) - before
            found["small"].append(ask(f"small {SMALL} {THREADS}"))
            if port:
                found["plain"].append(ask(f"plain {SMALL} {THREADS} {port} 0"))
                found["synced"].append(ask(f"plain {SMALL} {THREADS} {port} 1"))
            found["many"].append(ask(f"many {MANY}"))
    return [*_large(found["large"]), *_small(found["small"], found["plain"], found["synced"]), *_many(found["many"])]


def _large(found: list[dict[str, float]]) -> Iterator[Row]:
    for verb in ("put", "get"):
        shares = [100 * one["limit"] / one[verb] for one in found]
        limit = {"copy + fsync + md5": f"{span([one['limit'] for one in found], 2)} s"}
        yield Row(f"{verb} of 256 MB", f"{span([one[verb] for one in found], 2)} s, {span(shares)} %", ">= 60 %",
                  median(shares) >= 60, limit, {"rounds": found})  # fmt: skip
    grown = max(max(one["grown"], one["server"]) for one in found)
    text = (
        f"client {max(one['grown'] for one in found) / 2**20:.0f}, server {max(one['server'] for one in found) / 2**20:.0f} MiB"
    )
    yield Row("memory that it takes", text, "< 64 MiB each", grown < GROWTH)


def _small(found: list[dict[str, float]], plain: list[dict[str, float]], synced: list[dict[str, float]]) -> Iterator[Row]:
    for verb in ("put", "get"):
        ours, theirs = [one[verb] for one in found], [one[verb] for one in plain]
        rivals = {"aiohttp, files": f"{span(theirs)}/s"} if theirs else {}
        if synced and verb == "put":
            rivals["the same with fsync"] = f"{span([one[verb] for one in synced])}/s"
        met = median(ours) >= median(theirs) if theirs else None
        yield Row(
            f"10 KB objects, {verb}, {THREADS} threads", f"{span(ours)}/s", "the file server's", met, rivals, {"rounds": found}
        )


def _many(found: list[dict[str, float]]) -> Iterator[Row]:
    for verb in ("put", "get"):
        rates = [one[verb] for one in found]
        yield Row(f"10 KB objects, {verb} in batches", f"{span(rates)}/s", ">= 10,000/s", median(rates) >= 10_000)
    renames = [one["rename"] for one in found]
    yield Row("rename of a folder of 10,000", f"{span(renames, 2)} s", "< 1 s", median(renames) < 1, values={"rounds": found})


def _server_memory(server: Server) -> float:
    """The most that control and edge together had so far."""
    processes = server.processes()
    texts = [Path(f"/proc/{one.pid}/status").read_text() for one in processes.control + processes.edge]
    return float(sum(int(text.split("VmHWM:")[1].split()[0]) * 1024 for text in texts))


@contextmanager
def _client(server: Server) -> Iterator[Any]:
    process = server.python("-m", "bench.objects_client")

    def ask(line: str) -> dict[str, float]:
        assert process.stdin and process.stdout
        process.stdin.write(line + "\n")
        process.stdin.flush()
        answer: dict[str, float] = json.loads(process.stdout.readline() or "null")
        return answer

    try:
        yield ask
    finally:
        process.communicate(timeout=60)


@contextmanager
def _plain(home: Path) -> Iterator[int]:
    """The port of the file server; 0 where it cannot be installed."""
    try:
        python = rival.interpreter("files")
    except subprocess.CalledProcessError:
        yield 0
        return
    folder = home / "plain"
    folder.mkdir()
    pipe = subprocess.PIPE
    words = [str(python), str(ROOT / "bench" / "peer" / "run_files.py"), str(folder)]
    process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.communicate(timeout=60)


if __name__ == "__main__":
    show(measure())
