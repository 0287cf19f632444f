"""How long does one warm ``result(call(noop))`` take, 200 in a row? ``python -m bench.call``"""

from __future__ import annotations

from contextlib import ExitStack

from bench.rival import running, version
from bench.row import Row, show
from bench.statistic import median, percentile

COUNT = 200
SYSTEMS = ("picloud", "ray", "pool", "dask")
TURNS = 3
"""Of each system in a round. All are up at the same time and take turns: a shared machine is slow for seconds at a time, and
that shall not hit one of them alone."""


def measure(rounds: int = 3) -> list[Row]:
    """Give every system ``TURNS * rounds`` turns; the medians of each turn's p50 and p99."""
    runs: dict[str, list[list[float]]] = {name: [] for name in SYSTEMS}
    with ExitStack() as stack:
        systems = {name: stack.enter_context(running(name)) for name in SYSTEMS}
        for turn in range(TURNS * rounds):
            for name in SYSTEMS if turn % 2 else reversed(SYSTEMS):
                runs[name].append(systems[name].call(COUNT))
    p50 = {name: median([percentile(times, 0.50) for times in runs[name]]) for name in SYSTEMS}
    p99 = {name: median([percentile(times, 0.99) for times in runs[name]]) for name in SYSTEMS}
    shown = {name: f"p50 {p50[name]:.2f} ms, p99 {p99[name]:.2f} ms" for name in SYSTEMS}
    return [
        Row(
            f"one warm call and its result, {COUNT} in a row",
            shown["picloud"],
            "p50 <= Ray's, p99 <= 5x p50",
            p50["picloud"] <= p50["ray"] and p99["picloud"] <= 5 * p50["picloud"],
            {f"Ray {version('ray')}": shown["ray"], "Pool": shown["pool"], f"Dask {version('dask')}": shown["dask"]},
            {"p50_ms": p50, "p99_ms": p99},
        )
    ]


if __name__ == "__main__":
    show(measure())
