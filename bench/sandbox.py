"""What do sandboxes cost, beside plain processes in the same run? ``python -m bench.sandbox``

Two servers are up at the same time and take turns: one with the best rung that works here, one with rung D. Asked are the first
instruction in a slot that was not there before, and a warm no-op call.
"""

from __future__ import annotations

import json
import os
from subprocess import Popen

from bench.row import Row, show
from bench.server import Server
from bench.slot import PROGRAM as SLOTS
from bench.statistic import median, percentile, span

COUNT = 200
TURNS = 3
"""Of each in a round, as in ``call``."""

CALLS = """
import json, sys, time, cloud

def noop(n):
    return n

cloud.result(cloud.map(noop, range(200)))
for line in sys.stdin:
    times = []
    for n in range(int(line)):
        began = time.perf_counter()
        cloud.result(cloud.call(noop, n))
        times.append((time.perf_counter() - began) * 1e3)
    print(json.dumps(times), flush=True)
"""


def measure(rounds: int = 3) -> list[Row]:
    """Fresh slots of ``rounds`` servers of each kind, then calls to one of each."""
    boxed: list[float] = []
    plain: list[float] = []
    for turn in range(rounds):
        for rung in ("", "D") if turn % 2 else ("D", ""):
            (plain if rung else boxed).extend(_slots(rung))
    if not boxed or not plain:
        return [Row("a new sandboxed slot", "none was started", "<= 400 ms", None)]
    share = median(boxed) - median(plain)
    with Server() as one, Server({"sandbox": "D"}) as other:
        with one.python("-c", CALLS) as in_box, other.python("-c", CALLS) as in_none:
            turns = [(_turn(in_box), _turn(in_none)) for _ in range(TURNS * rounds)]
            for client in (in_box, in_none):
                client.communicate()
    ours, theirs = median([a for a, _ in turns]), median([b for _, b in turns])
    return [
        Row("a new sandboxed slot, submit to first instruction", f"{span(boxed)} ms", "<= 400 ms", median(boxed) <= 400,
            {"rung D": f"{span(plain)} ms"}, {"ms": boxed, "plain_ms": plain}),
        Row("the sandbox's part of it", f"{share:.0f} ms", "<= 60 ms", share <= 60, values={"ms": share}),
        Row(f"one warm call, sandboxed, {COUNT} in a row", f"p50 {ours:.2f} ms", "<= 1.10 x rung D", ours <= 1.1 * theirs,
            {"rung D": f"p50 {theirs:.2f} ms"}, {"p50_ms": turns}),
    ]  # fmt: skip


def _slots(rung: str) -> list[float]:
    with Server({"sandbox": rung} if rung else None) as server:
        server.env["SLOTS"] = str(max(1, (os.cpu_count() or 1) - 1))
        out, _ = server.python("-c", SLOTS).communicate(timeout=120)
    found: list[float] = json.loads(out) if out.strip() else []  # a busy machine may start none
    return [1e3 * seconds for seconds in found]


def _turn(client: Popen[str]) -> float:
    assert client.stdin is not None and client.stdout is not None
    client.stdin.write(f"{COUNT}\n")
    client.stdin.flush()
    return percentile(json.loads(client.stdout.readline()), 0.5)


if __name__ == "__main__":
    show(measure())
