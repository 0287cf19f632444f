"""Signed ways to pages: only what was signed, only there, only so long."""

import pytest

from picloud.wire import entry
from picloud.wire.entry import Entry
from picloud.wire.error import Forbidden

SECRET = b"s" * 32


def test_an_entry_is_for_one_page_and_a_time() -> None:
    made = Entry(1, 17, 8000, 100, once=True)
    name = made.name(SECRET)
    assert name == Entry(1, 17, 8000, 5).name(SECRET) and len(name) == 24 and name.isalnum()
    assert (
        len({name, Entry(1, 18, 8000, 5).name(SECRET), Entry(2, 17, 8000, 5).name(SECRET), Entry(1, 17, 80, 5).name(SECRET)}) == 4
    )
    text = made.signed(SECRET)
    assert entry.check(SECRET, name, text, 99.0) == made
    for wrong in (
        text.replace("8000", "8001"),
        text[:-1],
        text + "0",
        text.replace(".1.", ".0.", 1),
        "",
        "a.b.c.d.e.f.g",
        "." * 6,
    ):
        with pytest.raises(Forbidden):
            entry.check(SECRET, name, wrong, 99.0)
    for secret, at, now in ((b"x" * 32, name, 99.0), (SECRET, "other", 99.0), (SECRET, name, 101.0)):
        with pytest.raises(Forbidden):
            entry.check(secret, at, text, now)
