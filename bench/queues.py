"""How fast are queues and handlers? ``python -m bench.queues``

Messages are on disk before a push returns; a handler's ends and outputs are one transaction. Beside it Huey, which keeps tasks
in SQLite too.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import rival
from bench.machine import ROOT
from bench.processes import memory
from bench.row import Row, show
from bench.server import Server
from bench.statistic import median, percentile, span

MANY, HANDLED, ONE, SINGLE, SLEPT, WAITING, FEW, TASKS = 100_000, 60_000, 30_000, 200, 1_000, 1_000_000, 10_000, 3_000
GROWTH = 100 << 20
"""Bytes by which the server may grow while a million messages wait."""


def measure(rounds: int = 3) -> list[Row]:
    """Each question ``rounds`` times, in turns; the last one once."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ("push", "handle", "one", "latency", "parallel", "huey")}
    with Server() as server, _client(server) as ask:
        for _ in range(rounds):
            for name, count in (("push", MANY), ("handle", HANDLED), ("one", ONE), ("latency", SINGLE), ("parallel", SLEPT)):
                found[name].append(ask(f"{name} {count}"))
            found["huey"].append({"rate": _huey()})
        slower, grown = _beside(server, ask)
    return [*_rates(found), _latency(found["latency"]), _parallel(found["parallel"]), _waiting(slower, grown)]


def _beside(server: Server, ask: Any) -> tuple[dict[str, float], int]:
    """How much slower each verb is with many messages waiting, in turns with a server where few wait; how much memory grew."""
    before = memory(server.processes().control)
    ask(f"fill {WAITING}")
    grown = memory(server.processes().control) - before
    with Server() as other, _client(other) as ask_other:
        ask_other(f"fill {FEW}")
        found = [(ask("timed 10"), ask_other("timed 10")) for _ in range(12)]
    joined: list[dict[str, list[float]]] = [
        {name: sum((each[at][name] for each in found), []) for name in found[0][at]} for at in (0, 1)
    ]
    return {name: median(joined[0][name]) / median(joined[1][name]) for name in joined[0]}, grown


def _rates(found: dict[str, list[dict[str, Any]]]) -> Iterator[Row]:
    rates = {name: [one["rate"] for one in found[name]] for name in ("push", "handle", "one", "huey")}
    huey = {f"Huey {rival.version('huey')}, SQLite, 2 processes": f"{span(rates['huey'])}/s"} if all(rates["huey"]) else {}
    for name, question, target in (
        ("push", "messages pushed in batches", 30_000),
        ("handle", "messages through a no-op handler with an output, 2 readers", 12_000),
        ("one", "the same, one c1 job with one reader", 1_500),
    ):
        met = median(rates[name]) >= target
        rivals = huey if name == "handle" else {}
        yield Row(question, f"{span(rates[name])}/s", f">= {target:,}/s", met, rivals, {"rounds": found[name]})


def _latency(found: list[dict[str, Any]]) -> Row:
    middles = [percentile(one["ms"], 0.5) for one in found]
    return Row("one message, from its push to its handler, p50", f"{span(middles, 2)} ms", "<= 10 ms", median(middles) <= 10)


def _parallel(found: list[dict[str, Any]]) -> Row:
    gains = [one["five"] / one["one"] for one in found]
    text = f"{span(gains, 1)}x ({span([one['five'] for one in found])}/s)"
    return Row(
        "five jobs that sleep 10 ms a message, beside one", text, ">= 4.5x", median(gains) >= 4.5, values={"rounds": found}
    )


def _waiting(slower: dict[str, float], grown: int) -> Row:
    text = ", ".join(f"{name} {share:.2f}x" for name, share in slower.items()) + f"; server {grown >> 20:+d} MiB"
    return Row(f"with {WAITING:,} messages waiting", text, "<= 1.2x; flat memory", max(slower.values()) <= 1.2 and grown < GROWTH)


@contextmanager
def _client(server: Server) -> Iterator[Any]:
    process = server.python("-m", "bench.queues_client")

    def ask(line: str) -> dict[str, Any]:
        assert process.stdin and process.stdout
        process.stdin.write(line + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline() or "null")
        return answer

    try:
        yield ask
    finally:
        process.communicate(timeout=60)


def _huey() -> float:
    """Tasks a second of the rival; 0 where it cannot be installed."""
    try:
        python = rival.interpreter("huey")
    except subprocess.CalledProcessError:
        return 0.0
    with tempfile.TemporaryDirectory(prefix="picloud-bench-") as folder:
        words = [str(python), str(ROOT / "bench" / "peer" / "run_huey.py"), folder, str(TASKS)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["rate"])


if __name__ == "__main__":
    show(measure())
