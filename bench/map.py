"""How fast is a map of 10,000 no-ops, from the first submit to the last result? ``python -m bench.map``"""

from __future__ import annotations

from bench.rival import running, version
from bench.row import Row, show
from bench.statistic import median, span

COUNT = 10_000
SYSTEMS = {"picloud": COUNT, "pool": COUNT, "ray": COUNT, "dask": 2_000}
"""How many no-ops each system gets: fewer where 10,000 would take longer than ten seconds or so."""
MAPS = 3
"""Timed maps in each round; the best machine is a quiet one, so the median of all counts."""


def measure(rounds: int = 3) -> list[Row]:
    """Run every system ``rounds`` times, in turns; calls per second of each."""
    rates: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    for _ in range(rounds):
        for name, count in SYSTEMS.items():
            with running(name) as system:
                rates[name] += [count / system.map(count) for _ in range(MAPS)]
    ours, ray, pool = (median(rates[name]) for name in ("picloud", "ray", "pool"))
    return [
        Row(
            f"map of {COUNT:,} no-ops, submit to last result, each durable",
            f"{span(rates['picloud'])} calls/s",
            ">= 12x Ray, >= 0.7x bare Pool(chunksize=1)",
            ours >= 12 * ray and ours >= 0.7 * pool,
            {
                f"Ray {version('ray')}": f"{span(rates['ray'])} (ours {ours / ray:.1f}x)",
                "Pool, chunksize 1": f"{span(rates['pool'])} (ours {ours / pool:.2f}x)",
                f"Dask {version('dask')}": f"{span(rates['dask'])} (ours {ours / median(rates['dask']):.0f}x)",
            },
            {"calls_per_s": rates},
        )
    ]


if __name__ == "__main__":
    show(measure())
