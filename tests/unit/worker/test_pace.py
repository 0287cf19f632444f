"""How soon a job's memory is looked at again."""

from __future__ import annotations

import pytest

from picloud.worker.pace import CALM, HASTE, TURN, Pace

LIMIT = 1000


def test_a_job_that_is_about_to_reach_its_limit_is_looked_at_before_it_can() -> None:
    pace = Pace()
    assert pace.looked(0, LIMIT, 0.3, 10.0) == 0
    assert pace.looked(400, LIMIT, 0.4, 10.1) == 0, "600 are left, for 0.15 s"
    assert pace.looked(800, LIMIT, 0.5, 10.2) == pytest.approx(0.025), "200 are left, for 0.05 s"
    assert pace.due == pytest.approx(10.225)
    assert pace.looked(900, LIMIT, 0.525, 10.225) == pytest.approx(0.0125)
    assert pace.looked(990, LIMIT, 0.5375, 10.2375) == HASTE < TURN


def test_a_job_that_holds_steady_is_looked_at_less_often() -> None:
    pace = Pace()
    for used, age, wait in ((100, 1, 0), (100, 4, CALM), (100, 5, CALM), (200, 6, 0), (200, 7, CALM), (800, 8, 0), (800, 9, 0)):
        assert pace.looked(used, LIMIT, age, 100.0 + age) == wait, (used, age)


def test_a_job_without_a_limit_has_no_end_to_come_near() -> None:
    pace = Pace()
    for age in range(4, 8):
        assert pace.looked(1 << (10 * age), 0, age, age) == 0
