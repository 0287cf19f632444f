"""What does it cost to watch ten jobs: their figures, and the ports they listen on? ``python -m bench.sampling``

Jobs that only sleep, ten of them, or as many as a machine that others keep busy lets begin within a minute; then the same slots
without jobs. The difference is what watching costs, in all processes of the server together, scaled to ten jobs.
"""

from __future__ import annotations

import time

from bench.processes import processor_seconds
from bench.row import Row, show
from bench.server import Server

SETTLED = 12.0
"""Seconds until jobs are young no more: at first they are looked at more often."""

PROGRAM = """
import sys, time, cloud
jids = cloud.map(time.sleep, [600] * 10, _type="c1")
end = time.monotonic() + 60
while cloud.status(jids).count("processing") < 10 and time.monotonic() < end:
    time.sleep(0.5)
print(cloud.status(jids).count("processing"), flush=True)
sys.stdin.readline()
cloud.kill(jids)
print("killed", flush=True)
sys.stdin.readline()
"""


def measure(seconds: float = 30.0) -> list[Row]:
    """``seconds`` with the jobs, ``seconds`` without."""
    with Server() as server, server.python("-c", PROGRAM) as client:
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
