"""Does a map of 1,000,000 no-ops keep client and server small, and the newest jobs at hand? ``python -m bench.million``"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import psutil

from bench.processes import memory
from bench.row import Row, show
from bench.server import Server
from bench.statistic import percentile

COUNT = 1_000_000
LIMIT = 300 * 2**20
PROGRAM = """
import json, sys, time, cloud

count = int(sys.argv[1])
began = time.perf_counter()
jids = cloud.map(lambda x: x, range(count))
accepted = time.perf_counter() - began
listings, seen, total = [], 0, 0
for jid, value in cloud.iresult(jids, ordered=False):
    seen += 1
    total += value
    if seen % (count // 20) == 0:
        t = time.perf_counter()
        newest = cloud.jobs(limit=50)
        listings.append((time.perf_counter() - t) * 1e3)
        assert len(newest) == 50
finished = time.perf_counter() - began
assert seen == count and total == count * (count - 1) // 2, (seen, total)
print(json.dumps({"accepted_s": accepted, "finished_s": finished, "listing_ms": listings}))
"""


def measure(count: int = COUNT) -> list[Row]:
    """One map of ``count``; the peaks of resident memory, sampled four times a second."""
    with Server() as server:
        client = server.python("-c", PROGRAM, str(count))
        peaks = _watch(client, server)
        out, _ = client.communicate(timeout=60)
        if client.returncode:
            raise RuntimeError(f"the client of the million ended with {client.returncode}\n{server.log_tail()}")
        found = json.loads(out)
        disk = sum(path.stat().st_size for path in Path(server.home).glob("picloud.sqlite*"))
    listing = percentile(found["listing_ms"], 1.0)
    sizes = ", ".join(f"{part} {size >> 20} MB" for part, size in peaks.items())
    largest = max(peaks["client"], peaks["control"], peaks["edge"])
    values = found | {"peak_bytes": peaks, "database_bytes": disk}
    return [
        Row(
            f"map of {count:,} no-ops",
            f"accepted in {found['accepted_s']:.0f} s, finished in {found['finished_s']:.0f} s "
            f"({count / found['finished_s']:,.0f}/s); database {disk >> 20} MB",
            "accepted and finished",
            True,
            values=values,
        ),
        Row(f"peak memory in a map of {count:,}", sizes, "client and server each < 300 MB", largest < LIMIT, values=values),
        Row("newest 50 jobs listed meanwhile, slowest", f"{listing:.0f} ms", "< 200 ms", listing < 200, values=values),
    ]


def _watch(client: subprocess.Popen[str], server: Server) -> dict[str, int]:
    peaks = {"client": 0, "control": 0, "edge": 0, "workers": 0, "runners": 0}
    parts = server.processes()
    looked = time.monotonic()
    while client.poll() is None:
        if time.monotonic() - looked > 5:
            parts, looked = server.processes(), time.monotonic()
        now = {"client": [psutil.Process(client.pid)]} | {part: getattr(parts, part) for part in list(peaks)[1:]}
        for part, processes in now.items():
            peaks[part] = max(peaks[part], memory(processes))
        time.sleep(0.25)
    return peaks


if __name__ == "__main__":
    show(measure())
