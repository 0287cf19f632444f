"""One system under test, driven by lines on stdin; every system and PiCloud itself runs this same loop.

    map N    -> {"seconds": s}          N no-ops, from the first submit to the last result
    call N   -> {"ms": [..]}            N times one call and its result, one after the other
    quit

A system is an object with ``start()``, ``map(function, items) -> results``, ``call(function, item) -> result``, ``stop()``.
"""

import json
import sys
import time

WARM_UP = 1000


def noop(value):
    return value


def serve(system):
    """Start the system, answer lines until ``quit`` or end of input, stop it."""
    began = time.perf_counter()
    system.start()
    assert system.call(noop, 7) == 7
    answer({"started": time.perf_counter() - began})
    system.map(noop, list(range(WARM_UP)))
    try:
        for line in sys.stdin:
            verb, *rest = line.split()
            if verb == "quit":
                break
            answer({"map": timed_map, "call": timed_calls}[verb](system, int(rest[0])))
    finally:
        system.stop()


def timed_map(system, count):
    items = list(range(count))
    began = time.perf_counter()
    results = system.map(noop, items)
    seconds = time.perf_counter() - began
    assert list(results) == items, "wrong results"
    return {"seconds": seconds}


def timed_calls(system, count):
    times = []
    for item in range(count):
        began = time.perf_counter()
        result = system.call(noop, item)
        times.append((time.perf_counter() - began) * 1e3)
        assert result == item, "wrong result"
    return {"ms": times}


def answer(row):
    print(json.dumps(row), flush=True)
