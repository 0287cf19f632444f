"""What does a server cost that has nothing to do? ``python -m bench.idle``"""

from __future__ import annotations

import time

from bench.processes import memory, processor_seconds, unshared_memory
from bench.row import Row, show
from bench.server import Server


def measure(seconds: float = 30.0) -> list[Row]:
    """One job, a pause, then ``seconds`` of nothing."""
    with Server() as server:
        server.python("-c", "import cloud; cloud.result(cloud.call(abs, -1))").communicate(timeout=60)
        time.sleep(5)  # what follows a job has settled
        parts = server.processes()
        before = processor_seconds(parts.all())
        time.sleep(seconds)
        percent = 100 * (processor_seconds(parts.all()) - before) / seconds
        servers = parts.control + parts.edge + parts.workers
        size, slots = memory(servers), max(1, len(parts.runners))
        slot, shared_once = memory(parts.runners) / slots, unshared_memory(servers)
    values = {"percent": percent, "server_bytes": size, "server_pss_bytes": shared_once, "slot_bytes": slot, "slots": slots}
    return [
        Row(
            f"idle for {seconds:.0f} s, all processes",
            f"{percent:.2f} % of a core",
            "< 1 %",
            percent < 1,
            values=values,
        ),
        Row(
            "idle: memory of the server's processes (control, edge, workers)",
            f"{size >> 20} MB resident ({shared_once >> 20} MB with shared pages counted once)",
            "< 250 MB",
            size < 250 * 2**20,
            values=values,
        ),
        Row("memory of a slot", f"{slot / 2**20:.0f} MB", "about 80 MB", slot < 100 * 2**20, values=values),
    ]


if __name__ == "__main__":
    show(measure())
