"""Jobs a second of worker and runners alone: no server, no database, leases from this process.

    python bench/runner.py [JOBS] [SLOTS]

Prints one line: no-op jobs a second from the first lease sent to the last outcome received, best of three rounds, and the
time of one warm call.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/unit/worker"))

from fake_control import FakeControl, Worker  # noqa: E402

from picloud.wire import message as wire  # noqa: E402

WINDOW = 512


def throughput(control: FakeControl, jobs: int) -> float:
    """Jobs a second of one round."""
    spec = control.spec(lambda x: x)
    leases = [control.lease(spec, i) for i in range(jobs)]
    control.outcomes.clear()
    batches = [wire.encode(wire.Leases([spec], leases[at : at + 256])) for at in range(0, jobs, 256)]
    begin, sent = time.perf_counter(), 0
    for batch in batches:
        control.wait(lambda: sent - len(control.outcomes) <= WINDOW - 256)  # noqa: B023
        control.lines[-1].say(batch)
        sent += 256
    control.wait(lambda: len(control.outcomes) >= jobs, 60)
    return jobs / (time.perf_counter() - begin)


def latency(control: FakeControl, calls: int = 200) -> list[float]:
    """Milliseconds of single calls, sorted."""
    spec, found = control.spec(lambda x: x), []
    for i in range(calls):
        lease = control.lease(spec, i)
        begin = time.perf_counter()
        control.send(wire.Leases([spec], [lease]))
        control.outcome((lease.jid, 1))
        found.append((time.perf_counter() - begin) * 1e3)
    return sorted(found)


def main() -> None:
    """Measure and print."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    slots = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    control = FakeControl()
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(control, Path(folder), slots=slots)
        try:
            control.wait(lambda: control.said(wire.Credit))
            throughput(control, 1000)
            rates = [throughput(control, jobs) for _ in range(3)]
            times = latency(control)
        finally:
            worker.close()
            control.close()
    print(
        f"{max(rates):,.0f} jobs/s ({', '.join(f'{r:,.0f}' for r in rates)}) with {slots} slots; "
        f"one call p50 {statistics.median(times):.2f} ms, p99 {times[len(times) * 99 // 100]:.2f} ms"
    )


if __name__ == "__main__":
    main()
