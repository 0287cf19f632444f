"""The client of the queues' benchmark: answers questions on stdin, a line each, in JSON.

push N           -> {"rate"}                 messages a second into a queue that nobody reads
handle N         -> {"rate"}                 through a no-op handler with an output, 2 readers: from the push to the last output
one N            -> {"rate"}                 the same, one c1 job with one reader
latency N        -> {"ms": [..]}             from the push of one message to the moment when its handler has it
parallel N       -> {"one", "five"}          sleeps of 10 ms: messages a second with one job, and with five
fill N           -> {}                       lets N messages wait
timed N          -> {"push", "pop", "count"} seconds of each on the queue that was filled, N times
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from itertools import count as numbers
from typing import Any

import cloud
from cloud import _queues
from cloud.queue import CloudQueue
from picloud.wire.queue import Exchange, Hold

_names = numbers()
LONG = "bench-long"
PATIENCE = 20.0
"""Seconds for which jobs may be about to start."""


def fresh() -> CloudQueue:
    """A new queue."""
    return cloud.queue.get(f"bench-{next(_names)}")


def noop(message: Any) -> Any:
    """What is handled."""
    return message


def begun(message: Any) -> float:
    """When a message was in its handler's hands."""
    return time.time()


def slow(message: Any) -> Any:
    """A handler that waits for something else."""
    time.sleep(0.01)
    return message


def push(count: int) -> dict[str, Any]:
    queue = fresh()
    queue.push([0])
    began = time.perf_counter()
    queue.push(range(count))
    seconds = time.perf_counter() - began
    queue.delete()
    return {"rate": count / seconds}


def handle(count: int, handler: Callable[[Any], Any] = noop, **options: Any) -> dict[str, Any]:
    source, sink = fresh(), fresh()
    source.attach(handler, sink, **options)
    _started(source, sink, options.get("max_parallel_jobs", 1))
    began = time.perf_counter()
    source.push(range(count))
    _drained(sink, count)
    seconds = time.perf_counter() - began
    for queue in (source, sink):
        queue.delete()
    return {"rate": count / seconds}


def _started(source: CloudQueue, sink: CloudQueue, jobs: int) -> None:
    """Have so many jobs at work; on a machine that others keep busy, as many as there are after a while."""
    pushed, until = 0, time.monotonic() + PATIENCE
    while pushed == 0 or (source.info()["handler"]["running"] < jobs and time.monotonic() < until):
        if source.count() < 10 * jobs:
            source.push(range(20 * jobs))
            pushed += 20 * jobs
        time.sleep(0.1)
    _drained(sink, pushed)


def _drained(queue: CloudQueue, count: int) -> None:
    """Take so many messages out."""
    received, left = b"", count
    while left:
        token = _queues.token()
        asked = Exchange(token, queue.name, take=1000, hold=int(Hold.removed), timeout_ms=5000, received=received)
        left -= len(_queues.exchange(asked).messages)
        received = token


def latency(count: int) -> dict[str, Any]:
    source, sink = fresh(), fresh()
    source.attach(begun, sink)
    times = []
    for _ in range(count + 5):
        pushed = time.time()
        source.push([0])
        times.append(1000 * (sink.pop(1)[0] - pushed))
    for queue in (source, sink):
        queue.delete()
    return {"ms": times[5:]}


def parallel(count: int) -> dict[str, Any]:
    one = handle(count, slow, _type="c1")["rate"]
    five = handle(5 * count, slow, max_parallel_jobs=5, _type="c1")["rate"]
    return {"one": one, "five": five}


def fill(count: int) -> dict[str, Any]:
    """Let so many messages wait."""
    cloud.queue.get(LONG).push(range(count))
    return {}


def timed(count: int) -> dict[str, Any]:
    """Seconds of each verb on the queue that was filled, so often."""
    queue = cloud.queue.get(LONG)
    acts: dict[str, Callable[[], Any]] = {
        "push": lambda: queue.push(range(100)),
        "pop": lambda: queue.pop(10),
        "count": queue.count,
    }
    return {name: [_seconds(act) for _ in range(count)] for name, act in acts.items()}


def _seconds(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


ASKED: dict[str, Callable[[int], dict[str, Any]]] = {
    "push": push,
    "handle": lambda count: handle(count, readers_per_job=2),
    "one": lambda count: handle(count, _type="c1"),
    "latency": latency,
    "parallel": parallel,
    "fill": fill,
    "timed": timed,
}

if __name__ == "__main__":
    for line in sys.stdin:
        name, size = line.split()
        print(json.dumps(ASKED[name](int(size))), flush=True)
