"""A runner's word about run times: honest ones are taken at it, others gain next to nothing."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from picloud.worker.trust import AROUND, CREDIT, Trust

times = st.integers(0, 10_000_000)


def test_an_honest_runner_is_taken_at_its_word() -> None:
    trust, chance = Trust(), random.Random(1)
    for _ in range(50_000):
        told = chance.choice((1, 50, 3_000, 40_000))
        first, then = (int(chance.expovariate(1 / 5_000)) for _ in range(2))  # a crowded machine: marks and results are read late
        seen = 0 if told + 60 <= first else told + 60 - first + then  # both at once, where the result was there already
        assert trust.fair(told, seen) == told


def test_a_function_that_takes_a_moment_to_load_is_not_billed_for_it() -> None:
    assert Trust().fair(5, 900_000) == 5


def test_an_hour_that_is_told_as_nothing_is_billed() -> None:
    assert Trust().fair(0, 3_600_000_000) == 3_600_000_000 - AROUND - CREDIT


def test_nor_do_many_short_ones_pass_for_nothing() -> None:
    trust = Trust()
    billed = sum((trust.fair(0, 40_000) + 999) // 1000 for _ in range(10_000))
    assert billed >= 0.95 * 10_000 * 40


def test_jobs_about_as_long_as_what_lies_around_them_pay_a_begun_millisecond() -> None:
    trust = Trust()
    assert [trust.fair(0, AROUND) for _ in range(1000)] == [1] * 1000


@given(st.lists(st.tuples(times, times), max_size=60))
def test_what_is_gained_has_a_bound_and_nobody_pays_for_more_than_was_seen(jobs: list[tuple[int, int]]) -> None:
    trust = Trust()
    counted = [trust.fair(told, seen) for told, seen in jobs]
    assert sum(counted) >= sum(seen for _, seen in jobs) - CREDIT - AROUND * len(jobs)
    assert all(
        found == max(1, told) or found <= sum(seen for _, seen in jobs) for found, (told, _) in zip(counted, jobs, strict=True)
    )
