"""A ticket opens one blob for one verb for a while."""

from urllib.parse import urlsplit

import pytest

from picloud.wire import ticket
from picloud.wire.error import Forbidden

SECRET = b"s" * 32


def query(verb: str = "put", blob: str = "abc", size: int = 5) -> str:
    return urlsplit(ticket.url("http://edge", SECRET, verb, blob, size, now=1000.0)).query


def test_a_ticket_names_its_size() -> None:
    assert ticket.check(SECRET, "put", "abc", query(), now=1001.0) == 5


@pytest.mark.parametrize(
    ("verb", "blob", "text", "now"),
    [
        ("get", "abc", query(), 1001.0),
        ("put", "abd", query(), 1001.0),
        ("put", "abc", query().replace("size=5", "size=6"), 1001.0),
        ("put", "abc", query(), 1001.0 + ticket.LIFETIME),
        ("put", "abc", "verb=put&size=5&ends=%C2%B2&mac=x", 1001.0),
        ("put", "abc", "", 1001.0),
    ],
)
def test_anything_else_is_refused(verb: str, blob: str, text: str, now: float) -> None:
    with pytest.raises(Forbidden):
        ticket.check(SECRET, verb, blob, text, now)
