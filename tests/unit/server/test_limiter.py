"""Tries of passwords: the delay grows, and what is turned away costs nothing."""

from __future__ import annotations

import pytest

from picloud.server import limiter
from picloud.server.limiter import FREE_BY_ADDRESS, FREE_BY_NAME, Limiter
from picloud.wire.error import TooMany


def seconds(tries: Limiter, name: str, address: str, now: float) -> float:
    with pytest.raises(TooMany) as told:
        tries.enter(name, address, now)
    assert "try again in" in (told.value.hint or "")
    return float(told.value.facts["seconds"])


def test_the_delay_of_a_name_doubles_up_to_a_minute() -> None:
    tries, now, waits = Limiter(), 0.0, []
    for number in range(FREE_BY_NAME + 12):
        tries.enter("ann", f"10.0.0.{number}", now)
        if number >= FREE_BY_NAME:
            waits.append(seconds(tries, "ann", "10.1.0.0", now))
            now += waits[-1]
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60]


def test_an_address_that_tries_many_names_waits_too_and_nobody_else() -> None:
    tries = Limiter()
    for number in range(FREE_BY_ADDRESS + 1):
        tries.enter(f"user{number}", "10.0.0.1", 0)
    assert seconds(tries, "somebody else", "10.0.0.1", 0) == 2
    tries.enter("somebody else", "10.0.0.2", 0)


def test_a_right_password_counts_for_nothing() -> None:
    tries = Limiter()
    for number in range(1000):
        tries.enter("ann", "10.0.0.1", number)
        tries.right("ann", "10.0.0.1")


def test_being_right_once_does_not_clear_an_address() -> None:
    """Else who has a name of her own could try as many others as she likes."""
    tries, now = Limiter(), 0.0
    for number in range(FREE_BY_ADDRESS + 1):
        tries.enter("mallory", "10.0.0.1", now)
        tries.right("mallory", "10.0.0.1")
        tries.enter(f"user{number}", "10.0.0.1", now)
    assert seconds(tries, "user99", "10.0.0.1", now) == 2


def test_a_thousand_at_once_are_as_one_behind_the_other() -> None:
    tries, away = Limiter(), 0
    for _ in range(1000):
        try:
            tries.enter("ann", "10.0.0.1", 5.0)
        except TooMany:
            away += 1
    assert away == 1000 - FREE_BY_NAME - 1
    assert tries.turned_away() == away and tries.turned_away() == 0


def test_after_an_hour_nothing_counts() -> None:
    tries = Limiter()
    for _ in range(FREE_BY_NAME + 1):
        tries.enter("ann", "10.0.0.1", 0)
    assert seconds(tries, "ann", "10.0.0.2", 0) == 2
    for _ in range(FREE_BY_NAME + 1):
        tries.enter("ann", "10.0.0.1", 3601)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "REMEMBERED", 10)
    tries = Limiter()
    for number in range(1000):
        tries.enter(f"user{number}", f"10.0.{number // 250}.{number % 250}", 0)
    assert len(tries._names._rows) == len(tries._addresses._rows) == 10
