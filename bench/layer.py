"""How long do environments take? ``python -m bench.layer``

A setup server gets 300 MB of bytes that nothing shrinks, and is saved. Then, after restarts, the first job of a new worker:
with the layer on a cold cache, with the layer at hand, and with the base alone.
"""

from __future__ import annotations

import shutil
import time

from bench.row import Row, show
from bench.server import Server
from bench.statistic import median, span

SIZE = 300_000_000
NAME = "bench-layer"

FIRST = """
import sys, time, cloud

def size():
    import os
    return os.stat("/opt/data").st_size if os.path.exists("/opt/data") else 0

def place():
    return size()

cloud.result(cloud.call(abs, -1, _type="c1"))  # the server and this client are warm
began = time.perf_counter()
found = cloud.result(cloud.call(place, _env=sys.argv[1] or None))
print(time.perf_counter() - began, found)
"""


def measure(rounds: int = 3) -> list[Row]:
    """One save; each first job ``rounds`` times."""
    cold: list[float] = []
    cached: list[float] = []
    base: list[float] = []
    with Server() as server:
        server.picloud("env", "create", NAME, "base/host")
        server.picloud("env", "ssh", NAME, f"head -c {SIZE} /dev/urandom > /opt/data")
        began = time.perf_counter()
        server.picloud("env", "save", NAME)
        saved = time.perf_counter() - began
        server.picloud("env", "shutdown", NAME)
        for _ in range(rounds):
            _anew(server)
            shutil.rmtree(server.home / "layers", ignore_errors=True)
            cold.append(_first(server, NAME))
            _anew(server)
            cached.append(_first(server, NAME))
            _anew(server)
            base.append(_first(server, ""))
    more = 1e3 * (median(cached) - median(base))
    return [
        Row("save of a 300 MB layer", f"{saved:.1f} s", "<= 4 s", saved <= 4, values={"seconds": saved}),
        Row("its first use, on a cold cache", f"{span(cold, 2)} s", "<= 4 s", median(cold) <= 4, values={"seconds": cold}),
        Row("the first job of a new worker, its layer at hand", f"{span(cached, 2)} s", "100 ms more than the base", more <= 100,
            {"base/host": f"{span(base, 2)} s"}, {"seconds": cached, "base_seconds": base}),
    ]  # fmt: skip


def _anew(server: Server) -> None:
    server.down()
    server.up()


def _first(server: Server, name: str) -> float:
    out, _ = server.python("-c", FIRST, name).communicate(timeout=120)
    seconds, found = out.split()
    if int(found) != (SIZE if name else 0):
        raise RuntimeError(f"the job saw {found} bytes")
    return float(seconds)


if __name__ == "__main__":
    show(measure())
