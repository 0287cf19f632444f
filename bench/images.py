"""How many photographs a second does the pipeline of examples/13 handle? ``python -m bench.images``

Beside it the same steps on the same photographs, got from a server that fails as often, in a bare process pool with a folder
for a bucket: no queues, no sandboxes, nothing is on disk for certain, and what one worker had in hand dies with it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.machine import ROOT
from bench.row import Row, show
from bench.server import Server
from bench.statistic import median, span

EXAMPLES = ROOT / "examples"
COUNT = 300
SEED = 2013
TARGET = 0.85


def measure(rounds: int = 3) -> list[Row]:
    """Both in turns, on all cores; the first run of ours starts every handler."""
    ours: list[float] = []
    pool: list[float] = []
    with Server() as server:
        for _ in range(rounds):
            ours.append(_pipeline(server))
            pool.append(_pool())
    share = median([one / other for one, other in zip(ours, pool, strict=True)])
    cores = os.cpu_count() or 1
    text = f"{span(ours, 1)} images/s, {share:.2f}x the pool; {median(ours) / cores:.1f} a core"
    values = {"ours": ours, "pool": pool, "images": COUNT}
    return [Row(f"{COUNT} photographs through the image pipeline", text, f">= {TARGET}x", share >= TARGET,
                {f"bare pool of {cores} processes": f"{span(pool, 1)} images/s"}, values)]  # fmt: skip


def _pipeline(server: Server) -> float:
    words = [sys.executable, str(EXAMPLES / "13_image_pipeline.py"), "--images", str(COUNT)]
    done = subprocess.run(words, env=server.env, cwd=EXAMPLES, capture_output=True, text=True, timeout=900, check=False)
    found = re.search(r"([\d.]+) images/s", done.stdout)
    if done.returncode or found is None:
        raise RuntimeError(f"the pipeline failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return float(found[1])


def _pool() -> float:
    with tempfile.TemporaryDirectory(prefix="picloud-bench-") as folder, _photos() as address:
        words = [str(ROOT / "bench" / "peer" / "run_images.py"), str(EXAMPLES), folder, str(COUNT), str(os.cpu_count()), address]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=900, check=True)
        return COUNT / float(json.loads(done.stdout.splitlines()[-1])["seconds"])


@contextmanager
def _photos() -> Iterator[str]:
    """The server of photographs, as a process; its address."""
    serve = f"from imgpipeline import photos; photos.serve({SEED})"
    process = subprocess.Popen([sys.executable, "-c", serve], cwd=EXAMPLES)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", 8000), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield "http://127.0.0.1:8000"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    show(measure())
