"""What does it cost to watch ten jobs: their figures, and the ports they listen on? ``python -m bench.sampling``

Jobs that only sleep, ``CORES`` of each core type; then the same slots without jobs. The difference is what watching costs, in
all processes of the server together, scaled to ten jobs.
"""

from __future__ import annotations

import os
import time

from bench.processes import processor_seconds
from bench.row import Row, show
from bench.server import Server

TYPES = ("c1", "c2", "f2", "m1", "s1")
"""Each has as many slots as there are cores, however busy others keep the machine."""
SETTLED = 12.0
"""Seconds until jobs are young no more: at first they are looked at more often."""

PROGRAM = f"""
import sys, time, cloud
jids = [cloud.call(time.sleep, 600, _type=kind) for kind in {TYPES} for _ in range(int(sys.argv[1]))]
for jid in jids:
    cloud.wait_for.status(jid, "processing", 120)
print(len(jids), flush=True)
sys.stdin.readline()
cloud.kill(jids)
print("killed", flush=True)
sys.stdin.readline()
"""


def measure(seconds: float = 30.0) -> list[Row]:
    """``seconds`` with the jobs, ``seconds`` without."""
    with Server({"units_per_core": 64_000}) as server, server.python("-c", PROGRAM, str(min(2, os.cpu_count() or 1))) as client:
        assert client.stdin is not None and client.stdout is not None
        jobs = int(client.stdout.readline() or 0)
        if not jobs:
            raise RuntimeError(f"no jobs run: {server.log_tail()}")
        watched = _percent(server, seconds)
        client.stdin.write("\n")
        client.stdin.flush()
        client.stdout.readline()
        idle = _percent(server, seconds)
        client.stdin.close()
    cost = (watched - idle) * 10 / jobs
    return [
        Row(
            "watching 10 jobs: figures and ports",
            f"{cost:.2f} % of a core",
            "< 1 %",
            cost < 1,
            values={"jobs": jobs, "with_percent": watched, "without_percent": idle},
        )
    ]


def _percent(server: Server, seconds: float) -> float:
    """Of a core, by workers, control and edge."""
    time.sleep(SETTLED)
    parts = server.processes()
    ours = parts.control + parts.edge + parts.workers
    before = processor_seconds(ours)
    time.sleep(seconds)
    return 100 * (processor_seconds(ours) - before) / seconds


if __name__ == "__main__":
    show(measure())
