"""Which samples are kept, and what they say at a glance."""

from __future__ import annotations

from picloud.server.sampling import MINUTE, WHOLE, Series
from picloud.store import sample as rows
from picloud.wire.message import Sample


def sample(at: int, cpu: int = 0) -> Sample:
    return Sample(1, 1, at, cpu, 0, 5, 5)


def stored(series: Series, into: dict[int, list[Sample]]) -> list[int]:
    """Write the rows as the store does; the moments that are kept then."""
    for _, _, start, some in series.taken(1):
        into[start] = some
    return sorted({one.at_ms for some in into.values() for one in some})


def test_the_first_minutes_and_the_last_are_whole_the_rest_is_thin() -> None:
    series, table = Series(1, 1), dict[int, list[Sample]]()
    moments = range(250, 3 * 3_600_000, 2000)
    kept: list[int] = []
    for number, at in enumerate(moments):
        series.add(sample(at))
        if number % 7 == 0:
            kept = stored(series, table)
    kept = stored(series, table)
    end = moments[-1]
    assert [at for at in kept if at < WHOLE] == [at for at in moments if at < WHOLE]
    assert [at for at in kept if at >= end - MINUTE] == [at for at in moments if at >= end - MINUTE]
    between = [at for at in kept if WHOLE <= at < end - MINUTE]
    assert all(30_000 <= later - sooner <= 32_000 for sooner, later in zip(between, between[1:], strict=False))
    assert len(table) < 12, "few rows for three hours"
    assert all(len(some) <= 121 for some in table.values())
    assert rows.LAST in table


def test_nothing_new_is_nothing_to_write() -> None:
    series = Series(1, 1)
    assert series.taken(1) == []
    series.add(sample(250))
    assert [row[2] for row in series.taken(1)] == [250]
    assert series.taken(1) == []
    series.add(sample(2250))
    assert [(row[2], len(row[3])) for row in series.taken(1)] == [(250, 2)]


def test_cpu_in_use_now() -> None:
    series = Series(1, 1)
    series.add(sample(500, 250_000))
    assert series.cpu() == 50.0
    series.add(sample(2500, 2_250_000))
    assert series.cpu() == 100.0
    series.add(sample(4500, 6_250_000))
    assert series.cpu() == 200.0, "of one core"
