"""How soon does a job begin on a reserved core while 10,000 others wait and both cores spin? ``python -m bench.realtime``

Standard jobs of one core type keep every core busy. A core of another type is reserved; calls of that type come one by one, and
each answers with the time of its first instruction.
"""

from __future__ import annotations

import json

from bench.row import Row, show
from bench.server import Server
from bench.statistic import median, percentile

WAITING, CALLS = 10_000, 100
TARGET_MS = 200
CLIENT = """
import json, os, sys, time, cloud
waiting, calls = int(sys.argv[1]), int(sys.argv[2])

def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

def calls_of(core_type, count):
    took = []
    for _ in range(count):
        began = time.time()
        took.append((cloud.result(cloud.call(time.time, _type=core_type)) - began) * 1000)
        time.sleep(0.05)
    return took

began = time.monotonic()
number = cloud.realtime.request("c2", 1)["request_id"]
while cloud.realtime.list(number)[0]["start_time"] is None:
    time.sleep(0.01)
ready = time.monotonic() - began
quiet = calls_of("c2", calls)
jids = cloud.map(spin, [600] * waiting, _type="c1")
while cloud.status(jids[:os.cpu_count()]).count("processing") < os.cpu_count():
    time.sleep(0.1)
time.sleep(3)
busy = calls_of("c2", calls)
states = cloud.status(jids)
cloud.realtime.release(number)
cloud.kill(jids)
print(json.dumps({"ready_s": ready, "quiet_ms": quiet, "busy_ms": busy, "queued": states.count("queued")}))
"""


def measure() -> list[Row]:
    """Calls on a reserved core of a quiet machine, and of one that is full of others' work."""
    with Server() as server:
        said = server.python("-c", CLIENT, str(WAITING), str(CALLS)).communicate(timeout=300)[0]
        found = json.loads(said)
    quiet, busy = found["quiet_ms"], found["busy_ms"]
    slowest = percentile(busy, 0.99)
    return [
        Row(
            f"call to first instruction on a reserved core, {found['queued']:,} standard jobs waiting and every core spinning, "
            f"{CALLS} times",
            f"p50 {median(busy):.1f} ms, p99 {slowest:.1f} ms (quiet: {median(quiet):.1f}, {percentile(quiet, 0.99):.1f})",
            f"p99 <= {TARGET_MS} ms",
            slowest <= TARGET_MS,
            values=found,
        ),
        Row("request to ready", f"{found['ready_s']:.2f} s", values=found),
    ]


if __name__ == "__main__":
    show(measure())
