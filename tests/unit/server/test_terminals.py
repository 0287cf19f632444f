"""Tickets for web terminals: once, soon, from the page that asked."""

import pytest

from picloud.server.terminals import LIFETIME, OPEN, Terminals, Visit
from picloud.wire.error import Forbidden, NotAuthorized

VISIT = Visit(1, 17, 24, 80, "127.0.0.1:7421", {"digest": "00"})


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_ticket_works_once() -> None:
    terminals = Terminals()
    ticket = terminals.give(VISIT)
    assert terminals.take(ticket, "http://127.0.0.1:7421") == VISIT
    with pytest.raises(NotAuthorized, match="used"):
        terminals.take(ticket, "http://127.0.0.1:7421")


def test_a_ticket_is_for_half_a_minute() -> None:
    clock = Clock()
    terminals = Terminals(clock)
    kept, late = terminals.give(VISIT), terminals.give(VISIT)
    clock.now += LIFETIME - 1
    assert terminals.take(kept, "") == VISIT
    clock.now += 1
    with pytest.raises(NotAuthorized):
        terminals.take(late, "")


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:7422", "null", "http://127.0.0.1:7421.evil.example"])
def test_another_pages_browser_uses_it_up_in_vain(origin: str) -> None:
    terminals = Terminals()
    ticket = terminals.give(VISIT)
    with pytest.raises(Forbidden, match="own page"):
        terminals.take(ticket, origin)
    with pytest.raises(NotAuthorized):
        terminals.take(ticket, "")


@pytest.mark.parametrize("ticket", ["", "x", "\ud800"])
def test_what_was_never_given_out(ticket: str) -> None:
    with pytest.raises(NotAuthorized):
        Terminals().take(ticket, "")


def test_an_account_has_so_many_at_once_and_others_keep_theirs() -> None:
    terminals = Terminals()
    hers = terminals.give(Visit(2, 18, 24, 80, "", {}))
    mine = [terminals.give(VISIT) for _ in range(OPEN + 2)]
    for void in mine[:2]:
        with pytest.raises(NotAuthorized):
            terminals.take(void, "")
    assert all(terminals.take(ticket, "") == VISIT for ticket in mine[2:])
    assert terminals.take(hers, "").account == 2
