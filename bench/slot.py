"""How long does a new slot take? ``python -m bench.slot``

One job occupies the only slot that lives; the time runs from the submit of a second job to that job's first instruction,
in a process that was not there before. Both jobs run on this machine, so both times are of one clock.
"""

from __future__ import annotations

import os
import time

from bench.row import Row, show
from bench.server import Server
from bench.statistic import median, span

PROGRAM = """
import os, time, cloud

def place(hold):
    began = time.time()
    time.sleep(hold)
    return (os.readlink("/proc/self/ns/pid"), os.getpid()), began  # each sandbox counts its own processes

first, _ = cloud.result(cloud.call(place, 0))
seen, times = {first}, []
for n in range(int(os.environ["SLOTS"])):
    submitted = time.time()
    for pid, began in cloud.result(cloud.map(place, [1.0] * (n + 2))):
        if pid not in seen:
            seen.add(pid)
            times.append(began - submitted)
print(times)
"""


def measure(rounds: int = 3) -> list[Row]:
    """The first new slots of ``rounds`` fresh servers."""
    times: list[float] = []
    for _ in range(rounds):
        with Server() as server:
            server.env["SLOTS"] = str(max(1, (os.cpu_count() or 1) - 1))
            out, _ = server.python("-c", PROGRAM).communicate(timeout=120)
            times += [float(word) * 1e3 for word in out.strip().strip("[]").split(",") if word.strip()]
    if not times:
        return [Row("a new slot", "none was started", "<= 400 ms", None)]
    return [
        Row(
            "a new slot, submit to first instruction",
            f"{span(times)} ms",
            "<= 400 ms",
            median(times) <= 400,
            values={"ms": times},
        )
    ]


if __name__ == "__main__":
    began = time.perf_counter()
    show(measure(), f"{time.perf_counter() - began:.0f} s")
