"""Secrets are masked wherever they stand, in whatever pieces they come."""

from __future__ import annotations

import json
import pickle
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picloud.wire.job import Failure
from picloud.wire.mask import Mask
from picloud.wire.message import Outcome

KEY = "-----BEGIN KEY-----\nMIIEvQIB\nADANBgkq\n-----END KEY-----\n"


@pytest.mark.parametrize("value", ["hunter22", "pass word", "p'a\"ss\\", "schlüssel", "a&b=c d/é", "....", "x\ty\r\nz!"])
def test_a_value_is_known_in_the_usual_spellings(value: str) -> None:
    mask = Mask([value])
    for told in (value, repr(value), ascii(value), json.dumps(value), quote(value, ""), f"<{value}>"):
        shown = mask.text(f"before {told} behind")
        assert value not in shown and "***" in shown, told
        assert shown.startswith("before ") and shown.endswith(" behind")


def test_a_value_of_several_lines_is_known_line_by_line() -> None:
    mask = Mask([KEY])
    for line in KEY.splitlines():
        assert mask.text(f"12:00 {line}") == "12:00 ***"
    assert mask.text(KEY) == "***"


def test_short_values_are_left() -> None:
    assert Mask(["abc", "", "   ", "a\nb"]).text("abc a b    ") == "abc a b    "
    assert Mask(["abcd"]).text("abcd") == "***"


def test_no_value_at_all() -> None:
    assert Mask([]).data(b"all of it") == b"all of it"
    flow = Mask([]).flow()
    assert flow.feed(b"all") + flow.end() == b"all"


words = st.text("ab", min_size=4, max_size=9)


@given(st.lists(words, min_size=1, max_size=3), st.data())
def test_pieces_hide_what_the_whole_hides(values: list[str], data: st.DataObject) -> None:
    whole = "".join(data.draw(st.lists(st.sampled_from([*values, "c", "a", "b", "aab"]), max_size=12))).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    flow = Mask(values).flow()
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    shown = b"".join([*map(flow.feed, pieces), flow.end()])
    assert shown == Mask(values).data(whole)
    assert not [value for value in values if value.encode() in shown]


@given(st.binary(max_size=40), st.integers(0, 40))
def test_bytes_without_a_value_pass_as_they_are(data: bytes, cut: int) -> None:
    flow = Mask(["never in there"]).flow()
    assert flow.feed(data[:cut]) + flow.feed(data[cut:]) + flow.end() == data


def test_nothing_is_held_back_that_cannot_become_a_value() -> None:
    flow = Mask(["secret", "secretly"]).flow()
    assert flow.feed(b"a line\n") == b"a line\n"
    assert flow.feed(b"a sec") == b"a "
    assert flow.feed(b"ond\n") == b"second\n"
    assert flow.feed(b"secret") == b"", "it may become the longer one"
    assert flow.feed(b" and\n") == b"*** and\n"
    assert flow.feed(b"secretl") + flow.end() == b"***l"


def test_a_certificate() -> None:
    error = ValueError("with hunter22", {"password": "hunter22"})
    failure = Failure("exception", "ValueError: hunter22", "not hunter22", "line hunter22", "hunter22Error", pickle.dumps(error),
                      log_tail="hunter22", stacks="hunter22", facts={"hunter": "hunter22", "n": 3})  # fmt: skip
    outcome = Outcome(1, 1, b"", 1, 5, preview="'hunter22'", failure=failure, data=b"hunter22")
    Mask(["hunter22"]).outcome(outcome)
    assert not re.search("hunter22", repr(outcome.failure)) and outcome.preview == "'***'"
    assert failure.facts == {"hunter": "***", "n": 3}
    loaded = pickle.loads(failure.exception)
    assert type(loaded) is ValueError and loaded.args == ("with ********", {"password": "********"})
    assert outcome.data == b"hunter22", "what a job returns is its own affair"
