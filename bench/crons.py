"""What do 10,000 crons cost that have nothing to do, and how late is one that comes among them? ``python -m bench.crons``"""

from __future__ import annotations

import json
import time

from bench.processes import processor_seconds
from bench.row import Row, show
from bench.server import Server

COUNT = 10_000
REGISTER = """
import sys, cloud
count = int(sys.argv[1])
for number in range(count):
    cloud.cron.register(dict, f"c{number}", f"{number % 60} {number // 60 % 24} 29 2 mon")
"""
LATE = """
import json, time, cloud
cloud.cron.register(time.time, "each", "* * * * *")
left = 60 - time.time() % 60
time.sleep(left + 5)
run = cloud.cron.runs("each")[0]
print(json.dumps([(run["made"] - run["time"]).total_seconds(), cloud.result(run["jid"]) - run["time"].timestamp()]))
"""


def measure(seconds: float = 30.0) -> list[Row]:
    """A server without crons and the same with 10,000, each idle for so long; then one more that comes each minute."""
    with Server() as server:
        server.python("-c", "import cloud; cloud.result(cloud.call(abs, -1))").communicate(timeout=60)
        empty = _idle(server, seconds)
        begun = time.monotonic()
        server.python("-c", REGISTER, str(COUNT)).communicate(timeout=600)
        rate = COUNT / (time.monotonic() - begun)
        full = _idle(server, seconds)
        submitted, began = json.loads(server.python("-c", LATE).communicate(timeout=120)[0])
    values = {"empty_percent": empty, "full_percent": full, "submitted_s": submitted, "began_s": began, "registered_per_s": rate}
    return [
        Row(f"10,000 crons idle for {seconds:.0f} s, all processes", f"{full:.2f} % of a core ({empty:.2f} % without them)",
            "< 2 %", full < 2, values=values),
        Row("a cron among them: its time to its job submitted, to its first instruction",
            f"{submitted * 1000:.0f} ms; {began * 1000:.0f} ms", "1 s", began < 1, values=values),
    ]  # fmt: skip


def _idle(server: Server, seconds: float) -> float:
    """Per cent of a core that all its processes use."""
    time.sleep(5)  # what went before has settled
    parts = server.processes()
    before = processor_seconds(parts.all())
    time.sleep(seconds)
    return 100 * (processor_seconds(parts.all()) - before) / seconds


if __name__ == "__main__":
    show(measure())
